"""What an exporter saw and did not write: events that it took for too old, by its own log.

Source: kubernetes-event-exporter (resmoio) ``pkg/kube/watcher.go``, as seen in tests/data: at its start it gets all
events that there are, and discards those of more than ``maxEventAgeSeconds``, 5 s where nobody sets it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.duration import DurationError, parse_nanoseconds
from pullstudy.pulls.event import UNREADABLE
from pullstudy.pulls.kind import Record
from pullstudy.pulls.message import read_time

_DISCARDED = "Event discarded"  # "as being older then maxEventAgeSeconds"
_NAME_CLOCK = re.compile(r"[0-7]?[0-9a-f]{14,15}")  # 63 bits, which end in 2262
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_NAME = 300  # of an event: its object's, a point and 16 digits


class Discard(Record, frozen=True, kw_only=True, gc=False):
    """One event that was discarded. Discarded again it is the same: identity is all of its name."""

    run: Annotated[str | None, Meta(description="the run; empty where it belongs to none")] = None
    size: Annotated[int | None, Meta(description="nodes in the cluster")] = None
    namespace: Annotated[str, Meta(description="of the event; empty where the exporter does not say")]
    event_name: Annotated[str, Meta(description="the event's name")]
    object_name: Annotated[str | None, Meta(description="what the event was about, by its name: a pod or a job")] = None
    at: Annotated[datetime | None, Meta(description="when the event was made, by its name")] = None
    discarded_at: Annotated[datetime | None, Meta(description="when the exporter said so")] = None
    age_seconds: Annotated[float | None, Meta(description="how old the exporter took it to be")] = None


class _Line(msgspec.Struct, frozen=True):
    message: str = ""
    name: str = msgspec.field(name="event name", default="")
    namespace: str = msgspec.field(name="event namespace", default="")
    age: str = msgspec.field(name="event age", default="")
    time: str = ""


_decode = msgspec.json.Decoder(_Line).decode


def read_discard(text: bytes, origin: Origin) -> Discard | None:
    """Of a line that an exporter logged about itself; None where it tells of no discarded event by name."""
    try:
        line = _decode(text)
    except UNREADABLE:
        return None
    if not line.message.startswith(_DISCARDED) or not 0 < len(line.name) <= _LONGEST_NAME:
        return None
    named, _, clock = line.name.rpartition(".")
    return Discard(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        namespace=line.namespace[:_LONGEST_NAME],
        event_name=line.name,
        object_name=named or None,
        at=_made_at(clock),
        discarded_at=read_time(line.time),
        age_seconds=_seconds(line.age),
    )


def _made_at(clock: str) -> datetime | None:
    """client-go's recorder ends an event's name in the nanoseconds since 1970 of its making."""
    if not _NAME_CLOCK.fullmatch(clock):
        return None
    return _EPOCH + timedelta(microseconds=int(clock, 16) // 1_000)


def _seconds(age: str) -> float | None:
    try:
        return parse_nanoseconds(age) / 1e9
    except DurationError:
        return None
