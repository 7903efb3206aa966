"""What held a pull up at each moment: its wall time, shared out among its layers and stages.

The rule, in this order: a moment belongs to resolve until unpacking begins; else to the lowest layer of the image that
something is done with then, and to what is done with it, but where a layer below that waits for a download's turn, to
the lowest layer that is being downloaded: it has that turn. Where nothing is done with any, to queue or wait, if one
waits for its turn; to finish when the last layer is committed; else to nothing. Layers are committed from the lowest
up, so that nothing that is done with a layer ends the pull sooner than the layers below it allow.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pullstudy.pulls.spans.layer_spans import Interval
from pullstudy.pulls.spans.layer_steps import Step
from pullstudy.pulls.stage import Stage


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Nanoseconds of the wall time; they add up to it."""

    by_stage: dict[Stage, int]
    by_layer: tuple[int, ...]


_TURNS = (Stage.QUEUE, Stage.WAIT)  # nothing is done with the layer: it waits for what is done with others
_DOWNLOAD = (Stage.FIRST_BYTE, Stage.TRANSFER, Stage.INGEST)


def held_up(
    wall: Interval, resolve: Interval | None, layers: Sequence[Sequence[Step]], finish: Interval | None
) -> HeldUp:
    """Layers in the order of the image, each with its steps."""
    shares = _Shares(wall, len(layers))
    if resolve is not None:
        shares.add(Stage.RESOLVE, *resolve)
    downloads = [[step for step in steps if step.stage in _DOWNLOAD] for steps in layers]
    for place, steps in enumerate(layers):
        for step in _by_precedence(steps):
            shares.add(step.stage, step.start, step.end, place)
        for step in steps:
            if step.stage is Stage.QUEUE:
                shares.give_turn(step, downloads, place + 1)
    for stage in _TURNS:
        for place, steps in enumerate(layers):
            for step in steps:
                if step.stage is stage:
                    shares.add(stage, step.start, step.end, place)
    if finish is not None:
        shares.add(Stage.FINISH, *finish)
    return shares.done()


class _Shares:
    """Who has which part of the wall time, while it is shared out."""

    def __init__(self, wall: Interval, layers: int) -> None:
        self._free = _Free(wall)
        self._untried = _Free(wall)  # what no layer above has a download in is not looked for again
        self._by_stage = dict.fromkeys(Stage, 0)
        self._by_layer = [0] * layers

    def add(self, stage: Stage, start: int, end: int, layer: int | None = None) -> None:
        """What is free of these moments."""
        taken = self._free.take(start, end)
        self._by_stage[stage] += taken
        if layer is not None and stage not in (Stage.WAIT, Stage.UNATTRIBUTED):
            self._by_layer[layer] += taken

    def give_turn(self, queue: Step, downloads: Sequence[Sequence[Step]], first: int) -> None:
        """What is free while a layer waits for a download's turn, to the layers from that place on that have it."""
        for start, end in self._untried.pieces(queue.start, queue.end):
            self._untried.take(start, end)
            for place in range(first, len(downloads)) if self._free.pieces(start, end) else ():
                for step in downloads[place]:
                    self.add(step.stage, max(step.start, start), min(step.end, end), place)

    def done(self) -> HeldUp:
        self._by_stage[Stage.UNATTRIBUTED] += self._free.left
        return HeldUp(self._by_stage, tuple(self._by_layer))


def _by_precedence(steps: Iterable[Step]) -> list[Step]:
    """The later step first, should two overlap; what nobody knows last."""
    done = [step for step in steps if step.stage not in _TURNS]
    return sorted(done, key=lambda step: (step.stage is Stage.UNATTRIBUTED, -step.start, -step.end))


class _Free:
    """The moments that are nobody's yet, as intervals in order that do not touch."""

    def __init__(self, wall: Interval) -> None:
        self._starts, self._ends = ([wall[0]], [wall[1]]) if wall[1] > wall[0] else ([], [])

    @property
    def left(self) -> int:
        return sum(self._ends) - sum(self._starts)

    def pieces(self, start: int, end: int) -> list[Interval]:
        """What is free of it."""
        if end <= start:
            return []
        places = range(bisect_left(self._ends, start + 1), bisect_left(self._starts, end))
        return [(max(self._starts[place], start), min(self._ends[place], end)) for place in places]

    def take(self, start: int, end: int) -> int:
        """How much of it was free."""
        if end <= start:
            return 0
        first = bisect_left(self._ends, start + 1)  # the first that ends behind the start
        last = bisect_left(self._starts, end)  # behind the last that begins before the end
        if first >= last:
            return 0
        pieces = [(self._starts[first], start), (end, self._ends[last - 1])]
        whole = sum(self._ends[first:last]) - sum(self._starts[first:last])
        kept = [piece for piece in pieces if piece[1] > piece[0]]
        self._starts[first:last] = [piece[0] for piece in kept]
        self._ends[first:last] = [piece[1] for piece in kept]
        return whole - sum(piece[1] - piece[0] for piece in kept)
