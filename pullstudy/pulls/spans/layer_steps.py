"""A layer's way through the stages, with times: what each of its spans means, and what none of them can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pullstudy.pulls.spans.layer_spans import Interval, LayerSpans
from pullstudy.pulls.stage import Stage


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a layer's way, in nanoseconds since 1970."""

    stage: Stage
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Turns:
    """How the layers of a pull are unpacked: one after the other, or several at a time."""

    parallel: bool
    opener: tuple[str, int] | None  # the layer whose snapshot is prepared before any download begins
    commits_from: int | None  # with parallel unpack commits begin when the last layer has got its turn to unpack
    committed_before: dict[tuple[str, int], int]  # when the layer below was committed


def turns_of(layers: Sequence[LayerSpans]) -> Turns:
    """Of layers in the order of the image."""
    unpacks = [(layer.unpack, layer) for layer in layers if layer.unpack is not None]
    parallel = any(after[0][0] < before[0][1] for before, after in pairwise(unpacks))
    first = min(unpacks, key=lambda each: each[0][0], default=None)
    before = {(layer.digest, layer.repeat): below[0][1] for below, (_, layer) in pairwise(unpacks)}
    last = max((layer for _, layer in unpacks), key=lambda each: each.unpack or (0, 0), default=None)
    return Turns(
        parallel,
        (first[1].digest, first[1].repeat) if first else None,
        _turn(last) if parallel and last is not None else None,
        before,
    )


def _turn(layer: LayerSpans) -> int | None:
    """When it got its turn: a layer whose bytes are there is applied as soon as it has it."""
    if layer.unpack is None:
        return None
    there = _there(layer)
    if layer.applied is not None and there is not None and there <= layer.unpack[0]:
        return layer.applied[0]
    return layer.unpack[0]


def steps_of(layer: LayerSpans, turns: Turns) -> list[Step]:
    """In order of time, without those that took no time."""
    steps = [*_download(layer), *_unpacking(layer, turns)]
    return sorted((step for step in steps if step.end > step.start), key=lambda step: (step.start, step.end))


def _download(layer: LayerSpans) -> list[Step]:
    sent, last_byte = _sent(layer), _last_byte(layer)
    steps = []
    if layer.fetch is not None:
        # Without a request the bytes were there, or another pull fetched them meanwhile.
        steps.append(Step(Stage.QUEUE, layer.fetch[0], layer.fetch[1] if sent is None else sent))
    if sent is None:
        return steps
    until = last_byte if last_byte is not None else _there(layer)
    if until is None:
        return steps
    headers = layer.answered if layer.answered is not None and sent <= layer.answered <= until else None
    if headers is not None:
        steps.append(Step(Stage.FIRST_BYTE, sent, headers))
    steps.append(Step(Stage.TRANSFER, sent if headers is None else headers, until))
    there = _there(layer)
    if last_byte is not None and there is not None:
        steps.append(Step(Stage.INGEST, last_byte, there))
    return steps


def _sent(layer: LayerSpans) -> int | None:
    return layer.requests[0].interval[0] if layer.requests else layer.sent


def _last_byte(layer: LayerSpans) -> int | None:
    """A request's span ends with the last byte that is read of its answer."""
    if not layer.requests:
        return None
    last = max(request.interval[1] for request in layer.requests)
    return min(last, layer.fetch[1]) if _fetch_is_whole(layer) and layer.fetch is not None else last


def _fetch_is_whole(layer: LayerSpans) -> bool:
    """Whether the fetch span lasts as long as the download."""
    sent = _sent(layer)
    return layer.fetch is not None and (sent is None or layer.fetch[1] > sent)


def _there(layer: LayerSpans) -> int | None:
    """When the layer was in the content store; None where nothing tells."""
    if layer.fetch is not None and _fetch_is_whole(layer):
        return layer.fetch[1]
    last = max((request.interval[1] for request in layer.requests), default=None)
    if layer.unpack is not None and layer.applied is not None and last is not None and layer.unpack[0] < last:
        return layer.applied[0]  # unpacking waited for it
    return None


def _unpacking(layer: LayerSpans, turns: Turns) -> list[Step]:
    if layer.unpack is None:
        return [Step(Stage.APPLY, *layer.applied)] if layer.applied is not None else []
    start, end = layer.unpack
    there = _there(layer)
    opener = turns.opener == (layer.digest, layer.repeat)
    steps = []
    if there is not None:
        steps.append(Step(Stage.WAIT, there, start))
    if opener and layer.fetch is not None:
        steps.append(Step(Stage.PREPARE, start, min(layer.fetch[0], end)))
    if layer.applied is None:
        return [*steps, *_applied_somewhen(layer, (start, end), there)]
    # What lies between: a turn to unpack with parallel unpack, else the snapshot, which is there for the opener.
    before = Stage.WAIT if turns.parallel else Stage.APPLY if opener else Stage.PREPARE
    known = there if there is not None else _last_byte(layer)
    stage = before if known is not None or layer.present else Stage.UNATTRIBUTED
    steps.append(Step(stage, max(start, known or start), layer.applied[0]))
    return [*steps, Step(Stage.APPLY, *layer.applied), *_committing(layer, turns, layer.applied[1], end)]


def _applied_somewhen(layer: LayerSpans, unpack: Interval, there: int | None) -> list[Step]:
    """Without containerd's debug log, preparing, applying and committing cannot be told apart."""
    known = there if there is not None else _last_byte(layer)
    if known is not None:
        return [Step(Stage.APPLY, max(unpack[0], known), unpack[1])]
    return [Step(Stage.PREPARE if layer.present else Stage.UNATTRIBUTED, *unpack)]


def _committing(layer: LayerSpans, turns: Turns, applied: int, end: int) -> list[Step]:
    turn = applied
    if turns.parallel:
        below = turns.committed_before.get((layer.digest, layer.repeat), applied)
        turn = min(end, max(applied, below, turns.commits_from or applied))
    return [Step(Stage.WAIT, applied, turn), Step(Stage.COMMIT, turn, end)]
