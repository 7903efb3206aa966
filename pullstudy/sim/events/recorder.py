"""An event recorder as client-go's is: aggregation, counting, the spam filter, and a queue that is bounded.

Source: client-go ``tools/record/events_cache.go`` and ``event.go``. The order matters: an event is counted before the
spam filter drops it, so that a jump in ``count`` tells of what was not sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pullstudy.sim.time.clock import Urgency, VirtualClock
from pullstudy.sim.time.token_bucket import TokenBucket

Json = dict[str, Any]

AGGREGATE_AFTER = 10  # different messages of one object, type and reason
AGGREGATE_SECONDS = 600.0
SPAM_BURST = 25
SPAM_PER_SECOND = 1 / 300
CACHED_OBJECTS = 4096  # client-go's LRU caches hold so many entries
QUEUE_LENGTH = 1000  # events waiting to be sent; more are dropped
NAME_STEP_NS = 1_000  # two events of one instant get names that differ
CLOCK_SET_BACK_NS = 1_000_000_000


@dataclass
class Sent:
    """What became of one event: filled in when it was posted, or lost."""

    uid: str | None = None
    count: int | None = None
    lost: str | None = None  # why it never reached the API, or reached it under another's name


@dataclass
class _KnownEvent:
    name: str
    uid: str
    first_timestamp: str
    count: int


@dataclass
class _SimilarEvents:
    messages: set[str]
    last_at: float


class _ObjectCache:
    """All that the recorder remembers of one object: client-go's caches, keyed by what is left beside the object."""

    __slots__ = ("known", "similar", "spam")

    def __init__(self) -> None:
        self.known: dict[tuple[str, ...], _KnownEvent] = {}
        self.similar: dict[tuple[str, str], _SimilarEvents] = {}
        self.spam: dict[str, TokenBucket] = {}


class EventSink(Protocol):
    """Where events are posted, as client-go calls it."""

    def create(self, event: Json) -> str:
        """Post a new event; its uid is returned."""
        ...

    def patch(self, event: Json) -> bool:
        """Write a later count over the event of that name; False (404) if it is gone."""
        ...


Interference = Callable[[Json], tuple[float, bool]]  # an injected delay in seconds, and whether to lose the event


def no_interference(_: Json) -> tuple[float, bool]:
    return 0.0, False


class Recorder:
    """The events of one source. ``skew_seconds`` is how far its clock is ahead of the API server's."""

    def __init__(
        self,
        clock: VirtualClock,
        sink: EventSink,
        component: str,
        host: str = "",
        rate: float = 50.0,
        burst: float = 100.0,
        interference: Interference = no_interference,
    ) -> None:
        self._clock = clock
        self._sink = sink
        self._source = {"component": component, "host": host} if host else {"component": component}
        self._component, self._host = component, host
        self._limit = TokenBucket(rate, burst)
        self._interference = interference
        self._cache: dict[str, _ObjectCache] = {}
        self._last_name_ns = 0
        self._queued = 0
        self.skew_seconds = 0.0

    def record(self, involved: Json, kind: str, reason: str, message: str) -> Sent:
        """Count, aggregate, filter and send one event of type ``kind`` (Normal or Warning)."""
        about = self._remembered(involved["uid"])
        sent = Sent()
        if self._aggregate(about, (kind, reason), message):
            message = f"(combined from similar events): {message}"
            involved = {name: value for name, value in involved.items() if name != "fieldPath"}
            key: tuple[str, ...] = (kind, reason)
            sent.lost = "combined"
        else:
            key = (kind, reason, involved.get("fieldPath", ""), message)
        event = self._event(involved, kind, reason, message)
        known = self._observe(about, key, event)
        if not about.spam.setdefault(kind, TokenBucket(SPAM_PER_SECOND, SPAM_BURST)).take(self._clock.now):
            sent.lost = "spam filter"
            return sent
        self._send(event, known, sent)
        return sent

    def forget(self, uid: str) -> None:
        """The object is gone and its uid with it: nothing more will be said of it."""
        self._cache.pop(uid, None)

    def _remembered(self, uid: str) -> _ObjectCache:
        about = self._cache.pop(uid, None) or _ObjectCache()
        self._cache[uid] = about
        if len(self._cache) > CACHED_OBJECTS:
            del self._cache[next(iter(self._cache))]
        return about

    def _aggregate(self, about: _ObjectCache, key: tuple[str, str], message: str) -> bool:
        """Is this one of so many different messages that it goes out combined?"""
        now = self._clock.now
        similar = about.similar.get(key)
        if similar is None or now - similar.last_at > AGGREGATE_SECONDS:
            similar = about.similar[key] = _SimilarEvents(set(), now)
        similar.messages.add(message)
        similar.last_at = now
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
        set_back = self._last_name_ns - now > CLOCK_SET_BACK_NS
        self._last_name_ns = now if set_back else max(now, self._last_name_ns + NAME_STEP_NS)
        return self._last_name_ns

    def _observe(self, about: _ObjectCache, key: tuple[str, ...], event: Json) -> _KnownEvent:
        known = about.known.get(key)
        if known is None:
            known = about.known[key] = _KnownEvent(event["metadata"]["name"], "", event["firstTimestamp"], 0)
        known.count += 1
        event["metadata"]["name"] = known.name
        event["firstTimestamp"] = known.first_timestamp
        event["count"] = known.count
        return known

    def _send(self, event: Json, known: _KnownEvent, sent: Sent) -> None:
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
        # An injected delay is one that clients may act in: time does not rush over it.
        urgency = Urgency.PATIENT if delay else Urgency.FOREGROUND
        self._clock.call_at(at, lambda: self._post_queued(event, known, sent), urgency)

    def _post_queued(self, event: Json, known: _KnownEvent, sent: Sent) -> None:
        self._queued -= 1
        self._post(event, known, sent)

    def _post(self, event: Json, known: _KnownEvent, sent: Sent) -> None:
        event["metadata"]["uid"] = known.uid
        event["metadata"]["creationTimestamp"] = event["firstTimestamp"]
        if not known.uid or not self._sink.patch(event):
            # A patch that meets 404 (the event's time to live was over) creates it anew: new uid, the count goes on.
            known.uid = self._sink.create(event)
        sent.uid, sent.count = known.uid, event["count"]
