"""Traces as lines of OTLP's JSON, as the OpenTelemetry Collector's file exporter writes and its receiver reads them.

Source: opentelemetry-proto, docs/specification.md (JSON Protobuf Encoding): ids are hexadecimal, 64-bit numbers texts,
enums numbers.
"""

from collections.abc import Iterable
from typing import Any, BinaryIO

import msgspec

from pullstudy.analysis.traces.span import Attributes, Span, SpanEvent, Trace, Value

_INTERNAL = 1  # SpanKind
_ERROR = 2  # StatusCode


def write_otlp(traces: Iterable[Trace], file: BinaryIO) -> int:
    """A line a trace; return how many."""
    encoder = msgspec.json.Encoder()
    written = 0
    for trace in traces:
        file.write(encoder.encode(_traces_data(trace)) + b"\n")
        written += 1
    return written


def _traces_data(trace: Trace) -> dict[str, Any]:
    spans = [_span(trace.trace_id, span) for span in trace.spans]
    scope = {"scope": {"name": "pullstudy"}, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(trace.resource)}, "scopeSpans": [scope]}]}


def _span(trace: str, span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {"traceId": trace, "spanId": span.span_id}
    if span.parent_id is not None:
        found["parentSpanId"] = span.parent_id
    found |= {
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
    }
    if span.events:
        found["events"] = list(map(_event, span.events))
    if span.links:
        found["links"] = [{"traceId": each.trace_id, "spanId": each.span_id} for each in span.links]
    if span.error is not None:
        found["status"] = {"code": _ERROR, "message": span.error}
    return found


def _event(event: SpanEvent) -> dict[str, Any]:
    return {"timeUnixNano": str(event.at_ns), "name": event.name, "attributes": _attributes(event.attributes)}


def _attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [{"stringValue": each} for each in value]}}
