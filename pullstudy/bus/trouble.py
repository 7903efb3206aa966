"""What is wrong with the bus now, said when it begins, changes and ends, and once a minute meanwhile."""

from collections.abc import Callable

from pullstudy.pulls.notices import Notices


class Trouble:
    """One side of one bus."""

    def __init__(self, name: str, notices: Notices, monotonic: Callable[[], float], remind_seconds: float) -> None:
        self._name = name
        self._notices = notices
        self._monotonic = monotonic
        self._remind_seconds = remind_seconds
        self._since = self._reminded_at = 0.0
        self.reason: str | None = None  # None while all is well
        self.alarm = False  # somebody has to change a setting

    def begin(self, reason: str, *, alarm: bool = False) -> None:
        """It does not work, for this reason; nothing is lost by it."""
        now = self._monotonic()
        if self.reason is None:
            self._since = now
        if reason != self.reason or now - self._reminded_at >= self._remind_seconds:
            self._reminded_at = now
            say = self._notices.error if alarm else self._notices.warning
            say(f"{self._name}: {reason}; nothing is lost, it is tried again", for_seconds=round(now - self._since))
        self.reason, self.alarm = reason, alarm

    def end(self) -> None:
        """It works."""
        if self.reason is not None:
            self._notices.info(f"{self._name} works again", after_seconds=round(self._monotonic() - self._since))
            self.reason, self.alarm = None, False
