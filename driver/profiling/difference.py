"""By how much the pulls of two images differ, and in which stages: they were taken in turn, so that pairs are compared.

Intervals are 95%, by Student's t of the pairs' differences, each stage's by itself.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import msgspec

from driver.profiling.profile import ProfiledPull
from driver.profiling.verdict import stage_word
from pullstudy.analysis.statistics.confidence import errors_to_bound
from pullstudy.pulls.stage import Stage

_FEWEST = 2  # pairs, for an interval


class Saving(msgspec.Struct, frozen=True):
    """Seconds that the other takes less, on average, and the interval's bounds."""

    seconds: float
    least: float
    most: float

    @property
    def is_told(self) -> bool:
        """Whether it has a sign."""
        return not self.least <= 0 <= self.most


class Difference(msgspec.Struct, frozen=True):
    """Of two images."""

    image: str
    other: str
    saves: Saving
    share: float  # of the image's pull
    stages: dict[Stage, Saving]  # of those that are known of every pull

    @property
    def stage(self) -> Stage | None:
        """In which most of it lies."""
        sign = math.copysign(1, self.saves.seconds)
        return max(self.stages, key=lambda stage: self.stages[stage].seconds * sign, default=None)

    @property
    def sentence(self) -> str:
        """What the two differ by, if it can be told."""
        least, most = self.saves.least, self.saves.most
        if not self.saves.is_told:
            interval = f"95%: {least:+.2f} to {most:+.2f} s"
            return f"{self.other} and {self.image}: no difference can be told (the former saves {interval})."
        less = "less" if self.saves.seconds > 0 else "more"
        bounds = sorted((abs(least), abs(most)))
        where = (
            f", {abs(self.stages[self.stage].seconds):.2f} s of it in {stage_word(self.stage)}" if self.stage else ""
        )
        return (
            f"{self.other} takes {abs(self.saves.seconds):.2f} s {less} than {self.image} "
            f"({abs(self.share):.0%}; 95%: {bounds[0]:.2f} to {bounds[1]:.2f} s){where}."
        )


def difference(
    image: str, pulls: Sequence[ProfiledPull], other: str, others: Sequence[ProfiledPull]
) -> Difference | None:
    """None of fewer than two pairs."""
    if len(pulls) < _FEWEST:
        return None
    saves = _saving([one.seconds - two.seconds for one, two in zip(pulls, others, strict=True)])
    share = saves.seconds / fmean(pull.seconds for pull in pulls)
    stages = {stage: _saving(pairs) for stage in Stage if (pairs := _pairs(stage, pulls, others))}
    return Difference(image, other, saves, share, stages)


def _pairs(stage: Stage, pulls: Sequence[ProfiledPull], others: Sequence[ProfiledPull]) -> list[float]:
    """None where it is not known of every pull."""
    told = [[getattr(pull.stages, f"{stage}_seconds", None) for pull in side] for side in (pulls, others)]
    if any(None in side for side in told):
        return []
    return [one - two for one, two in zip(*told, strict=True)]


def _saving(pairs: Sequence[float]) -> Saving:
    mean = fmean(pairs)
    half = errors_to_bound(len(pairs) - 1) * stdev(pairs) / math.sqrt(len(pairs))
    return Saving(mean, mean - half, mean + half)
