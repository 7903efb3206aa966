"""OTLP's trace messages as bytes: the few fields of them that are sent.

Source: opentelemetry-proto ``trace/v1/trace.proto``, ``common/v1/common.proto`` and ``resource/v1/resource.proto``; a
repeated field's messages may stand anywhere in the one that holds them, so that requests are put together of pieces.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

Attribute: TypeAlias = str | int | tuple[str, ...]

INTERNAL, SERVER = 1, 2  # SpanKind
_ERROR = 2  # Status.code
_KEY_VALUE = 9  # Span.attributes


def attributes(pairs: Mapping[str, Attribute], field: int = _KEY_VALUE) -> bytes:
    """Of a span; ``field`` is another in other messages."""
    return b"".join(_bytes(field, _text(1, key) + _bytes(2, _value(value))) for key, value in pairs.items())


def event(name: str, pairs: Mapping[str, Attribute]) -> tuple[bytes, bytes]:
    """Of a span's event what stands before its time, and what stands behind it."""
    behind = _text(2, name) + attributes(pairs, 3)
    return b"\x5a" + varint(9 + len(behind)) + b"\x09", behind


def pair(key: str, text: str, field: int = 3) -> bytes:
    """One attribute more: of an event, if no other field is given."""
    return _bytes(field, _text(1, key) + _bytes(2, _text(1, text)))


def timed_event(at_ns: int, named: bytes) -> bytes:
    """A span's event of that time, where its name and attributes are not always the same."""
    return b"\x5a" + varint(9 + len(named)) + b"\x09" + at_ns.to_bytes(8, "little") + named


def timed(made: tuple[bytes, bytes], at_ns: int) -> bytes:
    """The event at that time."""
    return made[0] + at_ns.to_bytes(8, "little") + made[1]


def named(name: str, kind: int) -> bytes:
    """A span's name and kind."""
    return _text(5, name) + _number(6, kind)


def span(
    trace: bytes, id: bytes, parent: bytes, name: bytes, start_ns: int, end_ns: int, more: Iterable[bytes] = ()
) -> bytes:
    """A ScopeSpans' field of one; ``more`` are attributes, events and what else is told."""
    return _bytes(
        2,
        b"".join(
            (
                b"\x0a\x10", trace, b"\x12\x08", id, b"\x22\x08" + parent if parent else b"", name,
                b"\x39", start_ns.to_bytes(8, "little"), b"\x41", end_ns.to_bytes(8, "little"), *more,
            )
        ),
    )  # fmt: skip


def dropped_events(count: int) -> bytes:
    """That a span had so many more than its limit."""
    return _number(12, count)


def failed(message: str) -> bytes:
    """That what the span tells of failed."""
    return _bytes(15, _text(2, message) + _number(3, _ERROR))


def resource_spans(resource: Mapping[str, Attribute], scope: str, spans: Iterable[bytes]) -> bytes:
    """An ExportTraceServiceRequest of one resource; several of them, one behind the other, are one of all."""
    told = _bytes(1, attributes(resource, 1))
    return _bytes(1, told + _bytes(2, _bytes(1, _text(1, scope)) + b"".join(spans)))


def varint(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def _value(value: Attribute) -> bytes:
    if isinstance(value, str):
        return _text(1, value)
    if isinstance(value, int):
        return _number(3, value)
    return _bytes(5, b"".join(_bytes(1, _text(1, each)) for each in value))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, payload: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)
