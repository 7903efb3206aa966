"""How long something took, counted in buckets as Prometheus counts: a bucket holds what took as long as its bound."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

# Of writes: from one into a page cache to an outage of a minute and more; 12 bounds, each at most four times the one
# before.
BOUNDS_SECONDS = (0.0025, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0)

SCHEMA = 3  # of native buckets: each bound is 2^(1/8), 9%, above the one before
_BUCKETS_TO_DOUBLE = 1 << SCHEMA
# Native buckets from 1 ms to 145 days: what is beyond is counted in the last one, so that none has more than 340.
_LEAST_INDEX, _MOST_INDEX = -10 * _BUCKETS_TO_DOUBLE, 24 * _BUCKETS_TO_DOUBLE


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One of what was counted, by the labels that tell which."""

    labels: tuple[tuple[str, str], ...]
    seconds: float
    at: datetime


class Histogram:
    """Durations since the start of the process."""

    def __init__(self, bounds_seconds: Sequence[float] = BOUNDS_SECONDS) -> None:
        self.bounds_seconds = bounds_seconds
        self.exemplars: list[Exemplar | None] = [None] * (len(bounds_seconds) + 1)
        """The last one of each bucket that has one."""
        self._counts = [0] * (len(bounds_seconds) + 1)
        self.sum_seconds = 0.0

    def observe(self, seconds: float, exemplar: Exemplar | None = None) -> None:
        seconds = max(seconds, 0.0)  # a clock that was set back; OpenMetrics takes no sum that falls
        bucket = bisect_left(self.bounds_seconds, seconds)
        self._counts[bucket] += 1
        self.sum_seconds += seconds
        if exemplar is not None:
            self.exemplars[bucket] = exemplar

    @property
    def count(self) -> int:
        return sum(self._counts)

    def cumulative(self) -> list[int]:
        """How many took at most each bound, the last one without bound."""
        return list(accumulate(self._counts))

    def buckets(self) -> list[tuple[str, int, Exemplar | None]]:
        """Bound, how many took at most so long, and the last one of those in this bucket."""
        names = [*(f"{bound:g}" for bound in self.bounds_seconds), "+Inf"]
        return list(zip(names, self.cumulative(), self.exemplars, strict=True))


class NativeHistogram(Histogram):
    """The same with Prometheus' native buckets too, whose bounds are powers of 2^(1/8): a quantile of theirs is at most
    9% from the exact one.

    Source: prometheus/docs "Native histograms": bucket ``i`` of schema ``s`` ends at ``2^(i / 2^s)``.
    """

    def __init__(self, bounds_seconds: Sequence[float]) -> None:
        super().__init__(bounds_seconds)
        self.zeros = 0
        self._native: Counter[int] = Counter()

    def observe(self, seconds: float, exemplar: Exemplar | None = None) -> None:
        super().observe(seconds, exemplar)
        if seconds <= 0:  # a clock that was set back
            self.zeros += 1
        else:
            self._native[_index_of(seconds)] += 1

    def native_buckets(self) -> list[tuple[int, int]]:
        """Index and how many, of the buckets that have any, in order."""
        return sorted(self._native.items())


def _index_of(seconds: float) -> int:
    index = min(max(math.log2(seconds) * _BUCKETS_TO_DOUBLE, _LEAST_INDEX), _MOST_INDEX)
    return math.ceil(index)
