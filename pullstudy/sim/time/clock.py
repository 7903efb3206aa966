"""Virtual time: a queue of what is due, and how urgently each thing makes time run."""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache

Action = Callable[[], object]


class Urgency(IntEnum):
    """What a waiting action does to a clock that runs as fast as it can."""

    FOREGROUND = 0  # work: time jumps to it at once
    PATIENT = 1  # a retry or a deadline: time jumps to it once nobody has asked for anything for a moment
    BACKGROUND = 2  # heartbeats, time to live: never makes time run, is caught up on when time runs


class Timer:
    """One waiting action. ``cancel()`` is safe at any time, also after it ran."""

    __slots__ = ("_action", "when")

    def __init__(self, when: float, action: Action) -> None:
        self.when = when
        self._action: Action | None = action

    @property
    def pending(self) -> bool:
        return self._action is not None

    def cancel(self) -> None:
        self._action = None

    def run(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            action()


_Due = tuple[float, int, Timer]  # when, in which order asked for, what


def _first(queue: list[_Due]) -> _Due | None:
    """The earliest that was not cancelled."""
    while queue and not queue[0][2].pending:
        heapq.heappop(queue)
    return queue[0] if queue else None


class VirtualClock:
    """Seconds since ``start_at``. Time moves only inside ``run_next`` and ``run_until``."""

    def __init__(self, start_at: datetime) -> None:
        self.start_at = start_at
        self.now = 0.0
        self.on_change: Action = lambda: None  # told when something was put on the queue
        self._start_ns = int(start_at.timestamp()) * 1_000_000_000 + start_at.microsecond * 1_000
        self._order = itertools.count()
        self._queues: tuple[list[_Due], ...] = ([], [], [])

    def call_later(self, delay: float, action: Action, urgency: Urgency = Urgency.FOREGROUND) -> Timer:
        return self.call_at(self.now + delay, action, urgency)

    def call_at(self, when: float, action: Action, urgency: Urgency = Urgency.FOREGROUND) -> Timer:
        """Equal times run in the order in which they were asked for; a time already past runs next."""
        timer = Timer(max(when, self.now), action)
        heapq.heappush(self._queues[urgency], (timer.when, next(self._order), timer))
        self.on_change()
        return timer

    def every(self, period: float, action: Action) -> None:
        """In the background, for ever."""

        def again() -> None:
            action()
            self.call_later(period, again, Urgency.BACKGROUND)

        self.call_later(period, again, Urgency.BACKGROUND)

    def next_at(self, urgency: Urgency) -> float | None:
        """When the earliest action of this urgency is due, or None."""
        first = _first(self._queues[urgency])
        return None if first is None else first[0]

    def next_of_any(self) -> float | None:
        due = [first[0] for queue in self._queues if (first := _first(queue)) is not None]
        return min(due, default=None)

    def run_next(self, horizon: float) -> bool:
        """Run the earliest action due at or before the horizon; False if there is none (time then stays)."""
        earliest: list[_Due] | None = None
        for queue in self._queues:
            first = _first(queue)
            if first is not None and (earliest is None or first < earliest[0]):
                earliest = queue
        if earliest is None or earliest[0][0] > horizon:
            return False
        when, _, timer = heapq.heappop(earliest)
        self.now = max(self.now, when)
        timer.run()
        return True

    def run_until(self, when: float) -> None:
        """Run everything due up to ``when`` and move time there."""
        while self.run_next(when):
            pass
        self.now = max(self.now, when)

    def unix_ns(self, offset_seconds: float = 0.0) -> int:
        return self._start_ns + int((self.now + offset_seconds) * 1e9)

    def at(self, offset_seconds: float = 0.0) -> datetime:
        return self.start_at + timedelta(seconds=self.now + offset_seconds)

    def stamp(self, offset_seconds: float = 0.0) -> str:
        """As the API server writes metav1.Time: whole seconds, cut off."""
        return _rfc3339(self.unix_ns(offset_seconds) // 1_000_000_000)


@lru_cache(maxsize=64)
def _rfc3339(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
