"""The inside of a pull as spans below it: resolve, each layer with its stages, finish.

A stage of a layer has its start and its seconds. Where these lie in several stretches nothing tells where: they would
reach into the next stage, and are left out.
"""

import re
from collections.abc import Iterator, Sequence

from pullstudy.analysis.reading.pull_insides import PullInside
from pullstudy.analysis.traces.span import Attributes, Link, Span, known
from pullstudy.analysis.traces.unix_time import nanoseconds, since_1970
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.stage import LAYER_STAGES, Stage
from pullstudy.pulls.trace_identity import span_id

LAYER = "layer"
_OF_SPANS = re.compile(r"([0-9a-f]{32})/([0-9a-f]{16})")  # the name of a pull that spans told of
_ROUNDING_NS = 2_000  # both a start, in microseconds, and a sum may be rounded


def links_to_runtime(inside: PullInside) -> tuple[Link, ...]:
    """To the runtime's own span of the pull, where it was a span that told of it."""
    match = _OF_SPANS.fullmatch(inside.stages.pull)
    return (Link(match[1], match[2]),) if match else ()


def inside_spans(trace: str, parent: str, inside: PullInside) -> Iterator[Span]:
    """Below the span ``parent`` of the trace of that id."""
    stages = inside.stages
    began, ended = since_1970(stages.started_at), since_1970(stages.finished_at)
    for stage, seconds in ((Stage.RESOLVE, stages.resolve_seconds), (Stage.FINISH, stages.finish_seconds)):
        if seconds:
            took = min(nanoseconds(seconds), ended - began)
            times = (began, began + took) if stage is Stage.RESOLVE else (ended - took, ended)
            name = f"pull {stage}"
            yield Span(name, span_id(trace, name, stages.pull), parent, *times)
    for layer in inside.layers:
        yield from _layer_spans(trace, parent, layer)


def _layer_spans(trace: str, parent: str, layer: PulledLayer) -> Iterator[Span]:
    told = sorted(_told(layer))
    if not told:
        return
    identity = (layer.pull, layer.layer_digest, layer.repeat)
    own = span_id(trace, LAYER, *identity)
    stages = list(_in_one_piece(told))
    ends = [end for _, _, end in stages] or [told[-1][0]]
    end = since_1970(layer.finished_at) if layer.finished_at is not None else max(ends)
    yield Span(LAYER, own, parent, told[0][0], max(end, *ends), _attributes(layer))
    for stage, begin, until in stages:
        name = f"layer {stage.replace('_', ' ')}"
        yield Span(name, span_id(trace, name, *identity), own, begin, until)


def _told(layer: PulledLayer) -> Iterator[tuple[int, Stage, int]]:
    """When each stage began that is known, and for how long it was there."""
    for stage in LAYER_STAGES:
        at, seconds = getattr(layer, f"{stage}_at"), getattr(layer, f"{stage}_seconds")
        if at is not None and seconds is not None and seconds >= 0:
            yield since_1970(at), stage, nanoseconds(seconds)


def _in_one_piece(told: Sequence[tuple[int, Stage, int]]) -> Iterator[tuple[Stage, int, int]]:
    nexts = [begin for begin, _, _ in told[1:]]
    for (begin, stage, took), following in zip(told, [*nexts, None], strict=True):
        if following is None or begin + took <= following + _ROUNDING_NS:
            yield stage, begin, begin + took if following is None else min(begin + took, following)


def _attributes(layer: PulledLayer) -> Attributes:
    return known(
        {
            "pullstudy.layer.digest": layer.layer_digest,
            "pullstudy.layer.position": layer.position,
            "pullstudy.layer.media_type": layer.media_type,
            "pullstudy.layer.bytes": layer.layer_bytes,
            "pullstudy.layer.unpacked_bytes": layer.unpacked_bytes,
            "pullstudy.layer.origin": layer.origin,
            "pullstudy.layer.present": layer.present,
            "pullstudy.layer.held_seconds": layer.held_seconds,
        }
    )
