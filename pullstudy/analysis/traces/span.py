"""A trace and its spans, before any format."""

from collections.abc import Mapping

import msgspec

Value = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, Value]  # what is unknown has none


def known(attributes: Mapping[str, Value | None]) -> Attributes:
    """Those that are."""
    return {name: value for name, value in attributes.items() if value is not None}


class SpanEvent(msgspec.Struct, frozen=True, gc=False):
    """What happened at one moment of a span."""

    name: str
    at_ns: int  # since 1970
    attributes: Attributes = {}


class Link(msgspec.Struct, frozen=True, gc=False):
    """To a span of another trace, by its ids."""

    trace_id: str
    span_id: str


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch between two moments that are both known, never one of negative length."""

    name: str
    span_id: str
    parent_id: str | None
    start_ns: int  # since 1970
    end_ns: int
    attributes: Attributes = {}
    events: tuple[SpanEvent, ...] = ()
    error: str | None = None
    links: tuple[Link, ...] = ()


class Trace(msgspec.Struct, frozen=True, gc=False):
    """One container's way to its start. The first span holds the others; below a pull there may be more."""

    trace_id: str
    cluster: str
    node: str | None
    pod: str
    container: str
    image: str | None  # as the kubelet names it
    resource: Attributes
    spans: tuple[Span, ...]
