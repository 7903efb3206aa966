"""When a collector or a sink is ready: each condition as a function that says why it does not hold."""

from collections.abc import Callable

from collector.clock import Clock
from collector.configuration.quantity import Seconds
from collector.monitoring.status import CollectorStatus
from collector.monitoring.vitals import Condition, DeliveryTrouble
from collector.spooling.spool_queue import SpoolQueue

BETWEEN_WATCHES_SECONDS = 10.0  # a watch ends every few minutes, and another is opened: no reason to be unready


def watches(status: CollectorStatus, clock: Clock) -> Condition:
    """The events are listed, and a watch is open or was a moment ago."""

    def why_not() -> str | None:
        if status.watching:
            return None
        if status.watch_ended is None:
            return "the events have not been listed and watched yet"
        seconds = clock.monotonic_seconds() - status.watch_ended
        return f"no watch is open since {seconds:.0f} s" if seconds > BETWEEN_WATCHES_SECONDS else None

    return why_not


def keeps_up(what: str, lag_seconds: Callable[[], float], most: float) -> Condition:
    """The oldest of what waits has not waited for longer than --max-lag."""

    def why_not() -> str | None:
        seconds = lag_seconds()
        return f"{what} has waited for {seconds:.0f} s, over --max-lag {Seconds(most)}" if seconds > most else None

    return why_not


def has_room(queue: SpoolQueue) -> Condition:
    """The spool takes what the watch brings."""
    return lambda: (
        f"the spool is full ({queue.size_bytes} of {queue.limit_bytes} bytes): the watch is paused"
        if queue.paused
        else None
    )


def is_not_refused(place: str, trouble: Callable[[], DeliveryTrouble | None]) -> Condition:
    """No setting is wrong. A server that is away makes nothing unready before the lag does."""

    def why_not() -> str | None:
        found = trouble()
        return f"{place} refuses: {found.reason}" if found is not None and found.alarm else None

    return why_not
