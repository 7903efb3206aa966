"""OTLP traces as JSON, as the OpenTelemetry Collector's file exporter writes them: those spans that tell of pulls.

Source: opentelemetry-proto, docs/specification.md (JSON Protobuf Encoding): names in lower camel case, ids hexadecimal,
64-bit numbers as texts or as numbers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pullstudy.pulls.spans.otlp import LONGEST_TEXT, OtlpError, PullSpans, is_ours, node_of, possible
from pullstudy.pulls.spans.span import EVENT_ATTRIBUTES, EVENTS, NAMES, Span, SpanEvent

_Whole = int | str
_ERROR, _CLIENT = (2, "STATUS_CODE_ERROR"), (3, "SPAN_KIND_CLIENT")


class _Pair(msgspec.Struct, frozen=True):
    key: str
    value: dict[str, Any] = {}


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    time_unix_nano: _Whole = 0
    attributes: Sequence[_Pair] = ()


class _Status(msgspec.Struct, frozen=True):
    code: _Whole = 0
    message: str = ""


class _Sent(msgspec.Struct, frozen=True, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: _Whole = 0
    start_time_unix_nano: _Whole = 0
    end_time_unix_nano: _Whole = 0
    attributes: Sequence[_Pair] = ()
    events: Sequence[_Event] = ()
    dropped_events_count: int = 0
    status: _Status = _Status()


class _Scope(msgspec.Struct, frozen=True):
    spans: Sequence[_Sent] = ()


class _Resource(msgspec.Struct, frozen=True):
    attributes: Sequence[_Pair] = ()


class _Resources(msgspec.Struct, frozen=True, rename="camel"):
    resource: _Resource = _Resource()
    scope_spans: Sequence[_Scope] = ()


class _TracesData(msgspec.Struct, frozen=True, rename="camel"):
    resource_spans: Sequence[_Resources]


_decode = msgspec.json.Decoder(_TracesData).decode


def read_otlp_json(text: bytes) -> PullSpans:
    """Of one TracesData. Raises OtlpError."""
    try:
        found = list(_spans(_decode(text)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise OtlpError(f"is no TracesData of OTLP: {error}") from error
    spans = [span for span in found if span is not None]
    return PullSpans(spans, len(found) - len(spans))


def _spans(data: _TracesData) -> Iterator[Span | None]:
    for resource in data.resource_spans:
        node = node_of({pair.key: _text(pair.value) for pair in resource.resource.attributes})
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, node) if span.name in NAMES else None


def _span(sent: _Sent, node: str | None) -> Span | None:
    start, end = int(sent.start_time_unix_nano), int(sent.end_time_unix_nano)
    trace, id = bytes.fromhex(sent.trace_id), bytes.fromhex(sent.span_id)
    if not possible(trace, id, start, end):
        return None
    return Span(
        node=node,
        trace=trace.hex(),
        id=id.hex(),
        parent=bytes.fromhex(sent.parent_span_id).hex(),
        name=sent.name,
        start=start,
        end=end,
        attributes={pair.key: _text(pair.value) for pair in sent.attributes if is_ours(pair.key)},
        events=tuple(_event(event) for event in sent.events if event.name in EVENTS),
        cut=sent.dropped_events_count > 0,
        error=sent.status.message[:LONGEST_TEXT] if sent.status.code in _ERROR else None,
        client=sent.kind in _CLIENT,
    )


def _event(event: _Event) -> SpanEvent:
    told = {pair.key: _text(pair.value) for pair in event.attributes if pair.key in EVENT_ATTRIBUTES}
    return SpanEvent(event.name, int(event.time_unix_nano), told)


def _text(value: dict[str, Any]) -> str:
    """An AnyValue as a text, a list as its texts with spaces between."""
    for kind, inner in value.items():
        if kind == "arrayValue" and isinstance(inner, dict):
            parts = [each.get("stringValue", "") for each in inner.get("values", ()) if isinstance(each, dict)]
            return " ".join(map(str, parts))[:LONGEST_TEXT]
        if kind in ("stringValue", "intValue", "doubleValue", "boolValue"):
            return str(inner)[:LONGEST_TEXT]
    return ""
