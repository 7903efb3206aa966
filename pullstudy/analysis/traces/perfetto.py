"""Traces in the Trace Event Format, which ui.perfetto.dev opens from a file: nodes are processes, containers tracks.

Source: "Trace Event Format" (Google, 2016). Slices of one track have to nest, so that those which overlap
(times in whole seconds; what went on at once) are put on a further track of the container.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import Any, BinaryIO

import msgspec

from pullstudy.analysis.traces.span import Attributes, Span, Trace, Value

_LAYER_DIGEST = "pullstudy.layer.digest"
_SHORT_DIGEST = len("sha256:") + 12  # as people know them: whole ones would be a third of a large file
_LEFT_OUT = ("pullstudy.layer.media_type",)
_OF_RESOURCE = ("k8s.job.name", "k8s.namespace.name", "pullstudy.cache", "pullstudy.run", "pullstudy.simulated")


def write_perfetto(traces: Iterable[Trace], file: BinaryIO) -> int:
    """One JSON object; return how many traces are in it."""
    written = 0
    encoder = msgspec.json.Encoder()
    processes = _Processes()
    file.write(b'{"displayTimeUnit":"ms","traceEvents":[')
    separator = b"\n"
    for trace in traces:
        for event in processes.events(trace):
            file.write(separator + encoder.encode(event))
            separator = b",\n"
        written += 1
    file.write(b"\n]}\n")
    return written


class _Processes:
    """Numbers of nodes and tracks; none is given twice, since a thread of its process's number is its main thread."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._nodes: dict[tuple[str, str | None], int] = {}

    def events(self, trace: Trace) -> Iterator[dict[str, Any]]:
        node = trace.cluster, trace.node
        if node not in self._nodes:
            self._nodes[node] = next(self._numbers)
            name = f"{trace.node or 'no node'} ({trace.cluster})"
            yield _named("process_name", self._nodes[node], 0, name)
        process = self._nodes[node]
        for place, lane in enumerate(_lanes(trace.spans)):
            track = next(self._numbers)
            of_container = f"{trace.pod} / {trace.container}"
            yield _named("thread_name", process, track, of_container if not place else f"{of_container} ({place + 1})")
            for span in lane.spans:
                yield from _slices(trace, span, process, track)


def _named(what: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": track, "args": {"name": name}}


class _Lane:
    """One track of a container: its spans, of which the last ones are still open. Asked in the order of starts."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._open: list[Span] = []

    def is_free(self, span: Span) -> bool:
        """Whether nothing is open there."""
        self._close_until(span)
        return not self._open

    def holds_parent(self, span: Span) -> bool:
        """Whether what is open there is its parent, and lasts as long."""
        self._close_until(span)
        last = self._open[-1] if self._open else None
        return last is not None and last.span_id == span.parent_id and _end(span) <= _end(last)

    def put(self, span: Span) -> None:
        self.spans.append(span)
        self._open.append(span)

    def _close_until(self, span: Span) -> None:
        while self._open and _end(self._open[-1]) <= _start(span):
            self._open.pop()


def _lanes(spans: Iterable[Span]) -> list[_Lane]:
    """Each span in its parent where that can be, else on a track of its own.

    Of those that start at once the longer comes first, and of alike ones what is nearer to the whole, which is given
    first.
    """
    lanes: list[_Lane] = []
    visible = (span for span in spans if span.parent_id is None or _end(span) > _start(span))
    for span in sorted(visible, key=lambda span: (_start(span), -_end(span))):
        places = chain(
            (lane for lane in lanes if lane.holds_parent(span)), (lane for lane in lanes if lane.is_free(span))
        )
        place = next(places, None)
        if place is None:
            lanes.append(place := _Lane())
        place.put(span)
    return lanes


def _start(span: Span) -> int:
    """In whole microseconds, since a time since 1970 with a fraction is more than a double holds."""
    return span.start_ns // 1000


def _end(span: Span) -> int:
    return span.end_ns // 1000


def _slices(trace: Trace, span: Span, process: int, track: int) -> Iterator[dict[str, Any]]:
    place = {"pid": process, "tid": track}
    start, end = _start(span), _end(span)
    arguments = _arguments(span.attributes)
    if span.parent_id is None:
        arguments |= {"trace_id": trace.trace_id, "image": trace.image}
        arguments |= {name: trace.resource[name] for name in _OF_RESOURCE if name in trace.resource}
    if span.error is not None:
        arguments["error"] = span.error
    found = {"ph": "X", "name": span.name, "ts": start, "dur": end - start, **place}
    yield {**found, "args": arguments} if arguments else found
    for event in span.events:
        told = _arguments(event.attributes)
        yield {"ph": "i", "name": event.name, "ts": event.at_ns // 1000, "s": "t", **place, "args": told}


def _arguments(attributes: Attributes) -> dict[str, Any]:
    """An argument is a text or a number: of several the viewer would make one each."""
    return {name: _argument(name, value) for name, value in attributes.items() if name not in _LEFT_OUT}


def _argument(name: str, value: Value) -> Any:
    if isinstance(value, tuple):
        return ", ".join(value)
    return value[:_SHORT_DIGEST] if name == _LAYER_DIGEST and isinstance(value, str) else value
