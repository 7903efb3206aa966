"""OTLP traces read: those spans that tell of pulls, out of what an exporter sends.

Source: opentelemetry-proto, ``collector/trace/v1/trace_service.proto`` and ``trace/v1/trace.proto``.
Needs the extra ``otlp``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pullstudy.extras import require
from pullstudy.pulls.spans.span import ATTRIBUTES, CHILD, EVENT_ATTRIBUTES, EVENTS, NAMES, Span, SpanEvent

LONGEST_TEXT = 4_096  # of an attribute: what is longer names nothing of ours
_MOST_TIME = 2**63 - 1  # nanoseconds: the year 2262
_NODE = ("k8s.node.name", "host.name")
_ERROR = 2  # Status.StatusCode STATUS_CODE_ERROR
_CLIENT = 3  # Span.SpanKind SPAN_KIND_CLIENT


class OtlpError(ValueError):
    """The bytes are no ExportTraceServiceRequest. ``str()`` is one line."""


@dataclass(frozen=True, slots=True)
class PullSpans:
    """What a request has for us."""

    spans: list[Span]
    foreign: int  # spans that tell of no pull, or not when


def otlp_reader() -> Callable[[bytes], PullSpans]:
    """A reader of the bytes of an ExportTraceServiceRequest, which raises OtlpError. Raises MissingExtraError."""
    module = require("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "otlp")
    from google.protobuf.message import DecodeError

    parse = module.ExportTraceServiceRequest.FromString

    def read(body: bytes) -> PullSpans:
        try:
            request = parse(body)
        except DecodeError as error:
            raise OtlpError("is no ExportTraceServiceRequest of OTLP") from error
        found = list(_spans(request.resource_spans))
        spans = [span for span in found if span is not None]
        return PullSpans(spans, len(found) - len(spans))

    return read


def _spans(resources: Iterable[Any]) -> Iterator[Span | None]:
    for resource in resources:
        node = node_of({each.key: each.value.string_value for each in resource.resource.attributes})
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, node) if span.name in NAMES else None


def node_of(resource: Mapping[str, str]) -> str | None:
    """By what a resource's attributes say."""
    return next((resource[name] for name in _NODE if resource.get(name)), None)


def possible(trace: bytes, id: bytes, start: int, end: int) -> bool:
    """Whether a span can be of these ids and times, in ns."""
    return len(trace) == 16 and len(id) == 8 and 0 < start <= end <= _MOST_TIME


def _span(span: Any, node: str | None) -> Span | None:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if not possible(span.trace_id, span.span_id, start, end):
        return None
    return Span(
        node=node,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        start=start,
        end=end,
        attributes={each.key: _text(each.value) for each in span.attributes if is_ours(each.key)},
        events=tuple(_event(each) for each in span.events if each.name in EVENTS and each.time_unix_nano <= _MOST_TIME),
        cut=span.dropped_events_count > 0,
        error=span.status.message[:LONGEST_TEXT] if span.status.code == _ERROR else None,
        client=span.kind == _CLIENT,
    )


def is_ours(key: str) -> bool:
    """Whether an attribute of this name is kept."""
    return key in ATTRIBUTES or key.startswith(CHILD)


def _event(event: Any) -> SpanEvent:
    told = {each.key: _text(each.value) for each in event.attributes if each.key in EVENT_ATTRIBUTES}
    return SpanEvent(event.name, event.time_unix_nano, told)


def _text(value: Any) -> str:
    text: str = value.string_value
    if text:
        return text[:LONGEST_TEXT]
    kind = value.WhichOneof("value")
    if kind == "array_value":
        text = " ".join(each.string_value for each in value.array_value.values)
    elif kind in ("int_value", "double_value", "bool_value"):
        text = str(getattr(value, kind))
    return text[:LONGEST_TEXT]
