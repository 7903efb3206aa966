"""``model.json``: parameters of the model by group, and where they come from.

The file of ``--model``: an object of parameters by group, and under the reserved key ``calibration`` what records they
were fitted on, how sure each is, and how far they were off for what the fit had not seen. docs/sim-model.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from pullstudy.sim.model.parameters import PROFILES, Changes, ModelParameters, ParametersError, override

CALIBRATION = "calibration"
_EXAMPLE = '{"volume": {"write_bytes_per_second": 264e6}}'


class FittedValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A parameter that the records tell. ``low`` and ``high`` are its 90 % interval."""

    value: float
    low: float
    high: float


class HeldValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A parameter that the records do not tell: ``low`` and ``high`` hold 90 % of what is usual, for the reason why."""

    value: float
    low: float
    high: float
    why: str


class FittedRecords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of one cluster the fit has seen."""

    cluster: str
    nodes: int
    images: int
    jobs: int
    pulls: int


class HeldOutError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far jobs of a kind were off that was left out of the fit, one after another. Errors are relative.

    ``median_error`` is the median, over jobs, of the error's size in the median pull; ``p95_error`` the same of the
    95th percentile; ``coverage`` the share of pulls within the model's 90 % interval. ``nearest`` and ``regression``
    are the median errors of two plain rivals for the same jobs: the median of the nearest size seen, and a regression
    on bytes and layers.
    """

    left_out: Literal["size", "image", "cluster"]
    jobs: int
    median_error: float
    largest_error: float
    p95_error: float
    coverage: float
    nearest: float
    regression: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the parameters of a model come from. Parameters are named ``group.name``.

    ``draws`` are sets of all parameters that are uncertain, equally likely: what is computed with each of them in turn
    carries the uncertainty of the parameters.
    """

    profile: str  # the one whose parameters these are where nothing was fitted
    study: str
    records: tuple[FittedRecords, ...]
    fitted: dict[str, FittedValue]
    unidentified: dict[str, HeldValue]
    held_out: tuple[HeldOutError, ...] = ()
    draws: tuple[dict[str, float], ...] = ()


class ModelFile(msgspec.Struct, frozen=True):
    """What a file of a model says, checked."""

    changes: Changes
    calibration: Calibration | None = None

    def parameters(self, base: ModelParameters) -> ModelParameters:
        """The model over these. Raises ParametersError."""
        return override(base, self.changes)

    def draws(self, base: ModelParameters) -> Iterator[ModelParameters]:
        """The model by each set of draws; by the parameters themselves where there are none. Raises ParametersError."""
        whole = self.parameters(base)
        for draw in (self.calibration.draws if self.calibration else ()) or ({},):
            yield override(whole, by_group(draw))


def parse_model(text: bytes) -> ModelFile:
    """A file's JSON. Raises ParametersError."""
    try:
        document = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        said = f"parameters by group, such as {_EXAMPLE}, are wanted: {error}"
        raise ParametersError(said) from error
    return check_model(document)


def check_model(document: Mapping[str, Mapping[str, Any]]) -> ModelFile:
    """A file's document, read. Raises ParametersError."""
    changes = {group: dict(values) for group, values in document.items() if group != CALIBRATION}
    override(ModelParameters(), changes)
    if CALIBRATION not in document:
        return ModelFile(changes)
    try:
        calibration = msgspec.convert(document[CALIBRATION], Calibration)
    except msgspec.ValidationError as error:
        raise ParametersError(f"{CALIBRATION}: {error}") from error
    _check_calibration(calibration)
    return ModelFile(changes, calibration)


def write_model(model: ModelFile) -> bytes:
    """The file's JSON, for people too."""
    document: dict[str, Any] = dict(model.changes)
    if model.calibration is not None:
        document[CALIBRATION] = model.calibration
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def by_group(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Changes of parameters that are named ``group.name``. Raises ParametersError."""
    groups: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        group, dot, parameter = name.partition(".")
        if not dot:
            raise ParametersError(f"{name!r}: name a parameter with its group, as volume.write_bytes_per_second")
        groups.setdefault(group, {})[parameter] = value
    return groups


def _check_calibration(calibration: Calibration) -> None:
    if calibration.profile not in PROFILES:
        raise ParametersError(f"{CALIBRATION}: profile {calibration.profile!r}: there is {', '.join(PROFILES)}")
    told: dict[str, FittedValue | HeldValue] = {**calibration.fitted, **calibration.unidentified}
    for name, each in told.items():
        if not each.low <= each.value <= each.high:
            raise ParametersError(f"{CALIBRATION}: {name}: {each.value:g} is not from {each.low:g} to {each.high:g}")
    for draw in ({name: each.value for name, each in told.items()}, *calibration.draws):
        override(ModelParameters(), by_group(draw))
