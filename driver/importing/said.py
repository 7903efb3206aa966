"""What whoever imports a log tells beside it: no log says what nodes held before, or cost."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from pullstudy.pulls.cache import CacheState


class SaidCache(StrEnum):
    """What the nodes held before the jobs of a log."""

    COLD = "cold"
    WARM = "warm"
    UNKNOWN = "unknown"  # nor is what was said before believed any more

    @property
    def state(self) -> CacheState | None:
        return None if self is SaidCache.UNKNOWN else CacheState(self)


class SaidPrice(msgspec.Struct, frozen=True):
    """What one node cost, as a study names it."""

    per_node_hour: float
    currency: str = "USD"


@dataclass(frozen=True)
class Said:
    """What is told beside the files; what is None stays as it was told before."""

    cache: SaidCache | None = None
    price: SaidPrice | None = None
    as_of: datetime | None = None  # when kubectl described the pods of the files
    note: str | None = None  # who imports it and why
