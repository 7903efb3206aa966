"""The registry's egress, shared fairly by all downloads that are under way.

Processor sharing by a virtual counter: ``served`` is how many bytes each download has received since time began, so a
download that joined at S with B bytes ends when the counter stands at S + B. One step costs O(log n), not O(n).
"""

import heapq
import itertools
from collections.abc import Callable

from pullstudy.sim.time.clock import Timer, VirtualClock

Done = Callable[[], object]


class Egress:
    """``total`` bytes a second for all together, at most ``each`` for one."""

    def __init__(self, clock: VirtualClock, total: float, each: float) -> None:
        self._clock = clock
        self._total = total
        self._each = each
        self._served = 0.0
        self._as_of = 0.0
        self._order = itertools.count()
        self._flows: list[tuple[float, int, Done]] = []
        self._timer: Timer | None = None

    @property
    def rate(self) -> float:
        """Bytes a second that each download gets now."""
        return min(self._each, self._total / max(1, len(self._flows)))

    def download(self, size_bytes: float, done: Done) -> None:
        """Call ``done`` when this many bytes have come."""
        self._advance()
        heapq.heappush(self._flows, (self._served + size_bytes, next(self._order), done))
        self._plan()

    def _advance(self) -> None:
        self._served += (self._clock.now - self._as_of) * self.rate if self._flows else 0.0
        self._as_of = self._clock.now

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._flows:
            left = max(0.0, self._flows[0][0] - self._served)
            self._timer = self._clock.call_later(left / self.rate, self._finish_next)

    def _finish_next(self) -> None:
        self._advance()
        mark, _, done = heapq.heappop(self._flows)
        self._served = max(self._served, mark)  # rounding: what was planned for this instant is done now
        self._plan()
        done()
