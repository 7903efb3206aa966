"""What held a pull up at each moment: its wall time, shared out among its layers and stages.

The rule, in this order: a moment belongs to resolve until unpacking begins; else to the lowest layer of the image that
something is done with then, and to what is done with it; where nothing is done with any, to wait if a layer waits for
its turn; to finish when the last layer is committed; else to nothing. Layers are committed from the lowest up, so that
nothing that is done with a layer ends the pull sooner than the layers below it allow.
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


def held_up(
    wall: Interval, resolve: Interval | None, layers: Sequence[Sequence[Step]], finish: Interval | None
) -> HeldUp:
    """Layers in the order of the image, each with its steps."""
    free = _Free(wall)
    by_stage = dict.fromkeys(Stage, 0)
    by_layer = [0] * len(layers)
    if resolve is not None:
        by_stage[Stage.RESOLVE] = free.take(*resolve)
    for place, steps in enumerate(layers):
        for step in _by_precedence(steps):
            taken = free.take(step.start, step.end)
            by_stage[step.stage] += taken
            by_layer[place] += taken
    for steps in layers:
        by_stage[Stage.WAIT] += sum(free.take(step.start, step.end) for step in steps if step.stage is Stage.WAIT)
    if finish is not None:
        by_stage[Stage.FINISH] = free.take(*finish)
    by_stage[Stage.UNATTRIBUTED] += free.left
    return HeldUp(by_stage, tuple(by_layer))


def _by_precedence(steps: Iterable[Step]) -> list[Step]:
    """The later step first, should two overlap; what nobody knows last."""
    done = [step for step in steps if step.stage is not Stage.WAIT]
    return sorted(done, key=lambda step: (step.stage is Stage.UNATTRIBUTED, -step.start, -step.end))


class _Free:
    """The moments that are nobody's yet, as intervals in order that do not touch."""

    def __init__(self, wall: Interval) -> None:
        self._starts, self._ends = ([wall[0]], [wall[1]]) if wall[1] > wall[0] else ([], [])

    @property
    def left(self) -> int:
        return sum(self._ends) - sum(self._starts)

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
