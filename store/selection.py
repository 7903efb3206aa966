"""Which of a store's records are meant."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Those of one run, of one cluster, or of both; None is any."""

    run: str | None = None
    cluster: str | None = None


ALL = Selection()
