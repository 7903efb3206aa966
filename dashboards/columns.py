"""The columns of a measurement by name, as the sink writes them: a name that it does not write fails the build."""

from dashboards.errors import SchemaError
from pullstudy.store.influx.flux import literal
from pullstudy.store.influx.point_layout import (
    ABANDONED,
    GAP,
    JOB_PHASES,
    LAYER,
    MILESTONE,
    POD_PHASES,
    PULL,
    PULL_CACHE,
    PULL_STAGES,
    REJECT,
    Measurement,
)


class Columns:
    """``pull.node`` is "node" where the measurement has such a column, and a SchemaError where it has none."""

    def __init__(self, layout: Measurement) -> None:
        self._layout = layout

    def __getattr__(self, name: str) -> str:
        if name not in self._layout.struct.__struct_fields__:
            raise SchemaError(f"measurement {self._layout.name!r} has no column {name!r}: the panel has to follow it")
        return name

    def tag_name(self, name: str) -> str:
        """The name of a column that is a tag: only tags are the same in all rows of a series."""
        if name not in self._layout.tags:
            raise SchemaError(f"{name!r} is no tag of measurement {self._layout.name!r}")
        return name

    def of_measurement(self) -> str:
        """The condition that picks this measurement's rows."""
        return f"r._measurement == {literal(self._layout.name)}"

    def of_fields(self, *names: str) -> str:
        """The condition that picks these fields. Tags come with every row."""
        wanted = [getattr(self, name) for name in names if name not in self._layout.tags]
        return "(" + " or ".join(f"r._field == {literal(name)}" for name in wanted) + ")"


pull = Columns(PULL)
milestone = Columns(MILESTONE)
reject = Columns(REJECT)
gap = Columns(GAP)
abandoned = Columns(ABANDONED)
pull_cache = Columns(PULL_CACHE)
job_phases = Columns(JOB_PHASES)
pod_phases = Columns(POD_PHASES)
pull_stages = Columns(PULL_STAGES)
layer = Columns(LAYER)
