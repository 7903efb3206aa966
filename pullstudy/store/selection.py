"""Which of a store's records are meant."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Those of these runs on these clusters; without any, of all. None among the runs: records that belong to none."""

    runs: tuple[str | None, ...] = ()
    clusters: tuple[str, ...] = ()


ALL = Selection()
