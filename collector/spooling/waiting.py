"""Since when the spool's entries wait for their acknowledgement: the lag, in bounded memory, without reading them."""

from collections import deque
from collections.abc import Callable

FINEST_SECONDS = 1.0  # entries of one second share a mark
MOST_MARKS = 4_096  # an hour of them; then every other one goes, and marks lie twice as far apart


class WaitingBatches:
    """Marks ``(number of an entry, when it came)``, each standing for the entries behind it up to the next mark too."""

    def __init__(self, monotonic: Callable[[], float], most_marks: int = MOST_MARKS) -> None:
        self._monotonic = monotonic
        self._most_marks = most_marks
        self._apart_seconds = FINEST_SECONDS
        self._marks: deque[tuple[int, float]] = deque()
        self._last = self._acknowledged = 0

    def found(self, acknowledged: int, last: int, age_seconds: float) -> None:
        """What an earlier process left: the entries behind the acknowledged one, the oldest of that age at least."""
        self._last = self._acknowledged = acknowledged
        if last > acknowledged:
            self._add(last, self._monotonic() - age_seconds)

    def appended(self, number: int) -> None:
        """The entry came now."""
        self._add(number, self._monotonic())

    def _add(self, number: int, at: float) -> None:
        if not self._marks or at - self._marks[-1][1] >= self._apart_seconds:
            self._marks.append((self._last + 1, at))
        self._last = number
        if len(self._marks) > self._most_marks:
            self._marks = deque(list(self._marks)[::2])
            self._apart_seconds *= 2

    def acknowledged(self, number: int) -> None:
        """The entries up to this one wait no more."""
        self._acknowledged = number
        if number >= self._last:
            self._marks.clear()
            self._apart_seconds = FINEST_SECONDS
        # A mark stays while an entry of it waits: up to the one before the next mark.
        while len(self._marks) > 1 and self._marks[1][0] <= number + 1:
            self._marks.popleft()

    @property
    def entries(self) -> int:
        return max(0, self._last - self._acknowledged)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest has waited, up to the marks' distance too much; 0 where none waits."""
        return self._monotonic() - self._marks[0][1] if self._marks else 0.0
