"""An event recorder as client-go's is: aggregation, counting, the spam filter, and a queue that is bounded.

Source: client-go ``tools/record/events_cache.go`` and ``event.go``. The order matters: an event is counted before the
spam filter drops it, so that a jump in ``count`` tells of what was not sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.clock import VirtualClock
from sim.events import EventRegistry
from sim.token_bucket import TokenBucket

Json = dict[str, Any]

AGGREGATE_AFTER = 10  # different messages of one object, type and reason
AGGREGATE_SECONDS = 600.0
SPAM_BURST = 25
SPAM_PER_SECOND = 1 / 300
CACHE_ENTRIES = 4096  # of each of client-go's LRU caches
QUEUE_LENGTH = 1000  # events waiting to be sent; more are dropped
NAME_STEP_NS = 1_000  # two events of one instant get names that differ


@dataclass
class Sent:
    """What became of one event: filled in when it was posted, or lost."""

    uid: str | None = None
    count: int | None = None
    lost: str | None = None  # why it never reached the API, or reached it under another's name


@dataclass
class _Known:
    name: str
    uid: str
    first_timestamp: str
    count: int


@dataclass
class _Similar:
    messages: set[str]
    last_at: float


Interference = Callable[[Json], tuple[float, bool]]  # an injected delay in seconds, and whether to lose the event


def no_interference(_: Json) -> tuple[float, bool]:
    return 0.0, False


class Recorder:
    """The events of one source. ``skew_seconds`` is how far its clock is ahead of the API server's."""

    def __init__(
        self,
        clock: VirtualClock,
        registry: EventRegistry,
        component: str,
        host: str = "",
        rate: float = 50.0,
        burst: float = 100.0,
        interference: Interference = no_interference,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._source = {"component": component, "host": host} if host else {"component": component}
        self._component, self._host = component, host
        self._limit = TokenBucket(rate, burst)
        self._interference = interference
        self._known: dict[tuple[Any, ...], _Known] = {}
        self._similar: dict[tuple[Any, ...], _Similar] = {}
        self._spam: dict[tuple[Any, ...], TokenBucket] = {}
        self._last_name_ns = 0
        self._queued = 0
        self.skew_seconds = 0.0

    def record(self, involved: Json, kind: str, reason: str, message: str) -> Sent:
        """Count, aggregate, filter and send one event of type ``kind`` (Normal or Warning)."""
        identity = (involved["kind"], involved.get("namespace", ""), involved["name"], involved["uid"])
        aggregated = self._aggregate((*identity, kind, reason), message)
        sent = Sent()
        if aggregated:
            message = f"(combined from similar events): {message}"
            involved = {name: value for name, value in involved.items() if name != "fieldPath"}
            key: tuple[Any, ...] = (*identity, kind, reason)
            sent.lost = "combined"
        else:
            key = (*identity, kind, reason, involved.get("fieldPath", ""), message)
        event = self._event(involved, kind, reason, message)
        known = self._observe(key, event)
        if not self._spam_filter((*identity, kind)):
            sent.lost = "spam filter"
            return sent
        self._send(key, event, known, sent)
        return sent

    def _aggregate(self, key: tuple[Any, ...], message: str) -> bool:
        """Is this one of so many different messages that it goes out combined?"""
        similar = self._similar.get(key)
        now = self._clock.now
        if similar is None or now - similar.last_at > AGGREGATE_SECONDS:
            similar = _Similar(set(), now)
        similar.messages.add(message)
        similar.last_at = now
        _remember(self._similar, key, similar)
        if len(similar.messages) < AGGREGATE_AFTER:
            return False
        similar.messages.pop()  # the set stays as large as it must be, and no larger
        return True

    def _event(self, involved: Json, kind: str, reason: str, message: str) -> Json:
        stamp = self._clock.stamp(self.skew_seconds)
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": f"{involved['name']}.{self._name_ns():x}",
                "namespace": involved.get("namespace") or "default",
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    def _name_ns(self) -> int:
        now = self._clock.unix_ns(self.skew_seconds)
        self._last_name_ns = now if abs(now - self._last_name_ns) >= NAME_STEP_NS else self._last_name_ns + NAME_STEP_NS
        return self._last_name_ns

    def _observe(self, key: tuple[Any, ...], event: Json) -> _Known:
        known = self._known.get(key)
        if known is None:
            known = _Known(event["metadata"]["name"], "", event["firstTimestamp"], 0)
        known.count += 1
        event["metadata"]["name"] = known.name
        event["firstTimestamp"] = known.first_timestamp
        event["count"] = known.count
        _remember(self._known, key, known)
        return known

    def _spam_filter(self, key: tuple[Any, ...]) -> bool:
        bucket = self._spam.get(key) or TokenBucket(SPAM_PER_SECOND, SPAM_BURST)
        _remember(self._spam, key, bucket)
        return bucket.take(self._clock.now)

    def _send(self, key: tuple[Any, ...], event: Json, known: _Known, sent: Sent) -> None:
        delay, lose = self._interference(event)
        if lose:
            sent.lost = "sender loss"
            return
        at = self._limit.reserve(self._clock.now) + delay
        if at <= self._clock.now:
            self._post(event, known, sent)
            return
        if self._queued >= QUEUE_LENGTH:
            sent.lost = "queue full"
            return
        self._queued += 1
        self._clock.call_at(at, lambda: self._post_queued(event, known, sent))

    def _post_queued(self, event: Json, known: _Known, sent: Sent) -> None:
        self._queued -= 1
        self._post(event, known, sent)

    def _post(self, event: Json, known: _Known, sent: Sent) -> None:
        event["metadata"]["uid"] = known.uid
        event["metadata"]["creationTimestamp"] = event["firstTimestamp"]
        if not known.uid or not self._registry.patch(event):
            # A patch that meets 404 (the event's time to live was over) creates it anew: new uid, the count goes on.
            known.uid = self._registry.create(event)
        sent.uid, sent.count = known.uid, event["count"]


def _remember(cache: dict[tuple[Any, ...], Any], key: tuple[Any, ...], value: Any) -> None:
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > CACHE_ENTRIES:
        del cache[next(iter(cache))]
