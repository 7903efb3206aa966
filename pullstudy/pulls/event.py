"""The API objects around pulls, as JSON bytes bring them: only the fields that are read here.

One struct serves core/v1 and events.k8s.io/v1 (the same object under other field names), another what a
watch line can carry: an event, a bookmark or a Status. Everything is optional, because everything was seen missing.
Source: kubernetes ``core/v1`` and ``events/v1`` types.go; the exporter's additions (labels, ownerReferences in
involvedObject) from its own log.
"""

from typing import Annotated

import msgspec

from pullstudy.pulls.pod_owner import OwnerReference

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no such object raises: no JSON or of other types, no UTF-8, nested without end."""

Count = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]  # the API's int32


class Metadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What ObjectMeta and ListMeta say that is read here."""

    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    continue_token: str | None = msgspec.field(name="continue", default=None)
    annotations: dict[str, str] | None = None


class ObjectReference(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The object an event speaks of. Labels and owners are there only in an exporter's log."""

    kind: str = ""
    namespace: str | None = None
    name: str = ""
    uid: str | None = None
    field_path: str | None = None
    labels: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class EventSource(msgspec.Struct, frozen=True, gc=False):
    """Who made the event, the old way."""

    component: str | None = None
    host: str | None = None


class EventSeries(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How often, the new way."""

    count: Count | None = None
    last_observed_time: str | None = None


class StatusDetails(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The part of a Status that tells when to come back."""

    retry_after_seconds: int | None = None


class Event(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An event of either API, or, on a watch line, the bookmark or Status in its place (``code``)."""

    kind: str | None = None
    api_version: str | None = None
    metadata: Metadata | None = None
    reason: str | None = None
    message: str | None = None
    note: str | None = None  # events.k8s.io's message
    type: str | None = None
    source: EventSource | None = None
    deprecated_source: EventSource | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    deprecated_first_timestamp: str | None = None
    deprecated_last_timestamp: str | None = None
    event_time: str | None = None
    series: EventSeries | None = None
    count: Count | None = None
    deprecated_count: Count | None = None
    reporting_component: str | None = None
    reporting_controller: str | None = None  # events.k8s.io's reportingComponent
    reporting_instance: str | None = None
    involved_object: ObjectReference | None = None
    regarding: ObjectReference | None = None  # events.k8s.io's involvedObject
    code: int | None = None
    details: StatusDetails | None = None

    @property
    def text(self) -> str:
        return self.message or self.note or ""

    @property
    def object(self) -> ObjectReference | None:
        return self.involved_object or self.regarding

    @property
    def times_seen(self) -> int:
        """How often the event was seen, by whichever field tells it; 1 where none does."""
        series = self.series.count if self.series else None
        return series or self.count or self.deprecated_count or 1

    @property
    def component(self) -> str:
        source = self.source or self.deprecated_source
        named = source.component if source else None
        return named or self.reporting_component or self.reporting_controller or ""

    @property
    def host(self) -> str | None:
        """The node of the maker: old kubelets leave reportingInstance empty, new-style events leave source empty."""
        source = self.source or self.deprecated_source
        return (source.host if source else None) or self.reporting_instance or None


class WatchLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: Event


class EventList(msgspec.Struct, frozen=True, gc=False):
    """One page of a LIST."""

    metadata: Metadata = Metadata()
    items: list[Event] | None = None

    @property
    def resource_version(self) -> str:
        return self.metadata.resource_version

    @property
    def continue_token(self) -> str | None:
        return self.metadata.continue_token or None


decode_watch_line = msgspec.json.Decoder(WatchLine).decode
decode_event_list = msgspec.json.Decoder(EventList).decode
decode_event_json = msgspec.json.Decoder(Event).decode
