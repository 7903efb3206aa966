"""Events inside of something else, as log stores and shippers write them: found by their shape, whatever is around.

An event is an object with a reason and with ``involvedObject`` (core/v1) or ``regarding`` (events.k8s.io). It may be
at any depth that ``MOST_DEPTH`` allows, and in a string that holds JSON.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from pullstudy.pulls.event import UNREADABLE

_OTLP_VALUES = ("stringValue", "boolValue", "intValue", "doubleValue")
_LONGEST_INTEGER = 20
MOST_DEPTH = 32  # of objects, arrays and strings with JSON


def may_enclose_event(text: bytes) -> bool:
    """Whether the names of an event's fields are in it, also in a string with its quotes escaped."""
    return b"involvedObject" in text or b"regarding" in text


def enclosed_events(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The events in a decoded JSON value, in its order; none of one is looked for inside of another."""
    if depth > MOST_DEPTH:
        return
    value = _plain(value)
    if isinstance(value, dict):
        if "reason" in value and isinstance(value.get("involvedObject") or value.get("regarding"), dict):
            yield value
            return
        for member in value.values():
            yield from enclosed_events(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from enclosed_events(item, depth + 1)
    elif isinstance(value, str) and may_enclose_event(value.encode(errors="replace")):
        yield from enclosed_events(_decoded(value), depth + 1)


def _plain(value: Any) -> Any:
    """What an OTLP AnyValue stands for; anything else as it is.

    Source: opentelemetry-proto ``common/v1``, in its JSON form.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((name, inner),) = value.items()
    if name == "kvlistValue" and isinstance(inner, dict):
        pairs = [pair for pair in _values(inner) if isinstance(pair, dict)]
        return {str(pair.get("key")): _plain(pair.get("value")) for pair in pairs}
    if name == "arrayValue" and isinstance(inner, dict):
        return [_plain(each) for each in _values(inner)]
    if name == "intValue" and isinstance(inner, str) and len(inner) < _LONGEST_INTEGER and inner.isdecimal():
        return int(inner)
    return inner if name in _OTLP_VALUES else value


def _values(of: dict[str, Any]) -> list[Any]:
    values = of.get("values")
    return values if isinstance(values, list) else []


def _decoded(text: str) -> Any:
    """The JSON in a string, which may begin with a prefix such as a timestamp; None where there is none."""
    try:
        return msgspec.json.decode(text[max(text.find("{"), 0) :])
    except UNREADABLE:
        return None
