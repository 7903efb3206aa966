"""Jobs that were seen: what a model is fitted on, and what it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from pullstudy.sim.model.images import Image
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing, nominal_seconds_of

STRAGGLER = 1.5  # times the median of its job: such a pull tells nothing of the others' spread


@dataclass(frozen=True)
class SeenJob:
    """Cold pulls of one image by one job. ``seconds``: one value a node; who waits for another's download is none."""

    cluster: str
    nodes: int
    image: Image
    seconds: tuple[float, ...]

    @cached_property
    def median_seconds(self) -> float:
        return median(self.seconds)

    @cached_property
    def ordinary_seconds(self) -> tuple[float, ...]:
        """Without stragglers."""
        return tuple(each for each in self.seconds if each <= STRAGGLER * self.median_seconds)

    @cached_property
    def missing(self) -> Missing:
        """All layers of the image."""
        return Missing.of(self.image, frozenset())

    def nominal_seconds(self, parameters: ModelParameters) -> float:
        """What the model says of each pull, without any spread."""
        return nominal_seconds_of(parameters, self.missing, self.nodes)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Of its image: layers, unpacked bytes. Images of one shape are alike to the model, whatever their names."""
        return len(self.image.layers), self.image.unpacked_bytes


def p95_seconds(seconds: Sequence[float]) -> float:
    """The 95th percentile, interpolated between order statistics (R's type 7)."""
    ordered = sorted(seconds)
    place = 0.95 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
