"""How long something took, counted in buckets as Prometheus counts: a bucket holds what took as long as its bound."""

from bisect import bisect_left
from itertools import accumulate

# From a write into a page cache to an outage of a minute and more; 12 bounds, each at most four times the one before.
BOUNDS_SECONDS = (0.0025, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0)


class Histogram:
    """Durations since the start of the process."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds

    @property
    def count(self) -> int:
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, int]]:
        """Bound and how many took at most so long, the last one without bound."""
        names = [*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))
