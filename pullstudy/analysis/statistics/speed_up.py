"""How sure a speed-up is: its confidence interval, and a verdict that is corrected for all comparisons made together.

Pulls of one job share a registry, a moment and the cluster's state, so that they are no independent draws: a job is one
value, the median of its pulls. More nodes make that value more precise; only repeats show how much jobs differ.
Logarithms are compared, since a speed-up is a ratio. Sources: Welch 1947 for jobs; Student's paired t for images;
Holm 1979 for many comparisons at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from pullstudy.analysis.statistics.student import student_quantile, two_sided

CONFIDENCE = 0.95
TOO_FEW = "too few to tell"
NO_DIFFERENCE = "no difference beyond chance"


@dataclass(frozen=True)
class SpeedUp:
    """How many times as fast the second is. Bounds and p are None where too few values leave their spread unknown.

    ``p`` is the chance of as great a difference, either way, where there is none.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


def speed_up(first: Sequence[float], second: Sequence[float]) -> SpeedUp | None:
    """Geometric mean of the first's jobs over that of the second's. An interval needs two jobs on each side.

    None where a side has no job, or one that took no time.
    """
    if not first or not second or min(*first, *second) <= 0:
        return None
    sides = [[math.log(value) for value in values] for values in (first, second)]
    difference = fmean(sides[0]) - fmean(sides[1])
    if min(map(len, sides)) < 2:
        return SpeedUp(math.exp(difference))
    parts = [variance(side) / len(side) for side in sides]
    error = math.sqrt(sum(parts))
    if error == 0:  # equal to the last digit: no estimate of how much jobs differ
        return SpeedUp(math.exp(difference))
    freedom = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    return _interval(difference, error, freedom)


def paired_speed_up(speed_ups: Sequence[float]) -> SpeedUp | None:
    """The geometric mean of several images' speed-ups, an image one value: None of none, an interval from two on."""
    if not speed_ups or min(speed_ups) <= 0:
        return None
    logarithms = [math.log(value) for value in speed_ups]
    mean = fmean(logarithms)
    error = math.sqrt(variance(logarithms) / len(logarithms)) if len(logarithms) > 1 else 0
    return _interval(mean, error, len(logarithms) - 1) if error else SpeedUp(math.exp(mean))


def _interval(difference: float, error: float, freedom: float) -> SpeedUp:
    """Of a difference of logarithms."""
    margin = student_quantile((1 + CONFIDENCE) / 2, freedom) * error
    low, high = (_exp(difference + sign * margin) for sign in (-1, 1))
    return SpeedUp(math.exp(difference), low, high, two_sided(difference / error, freedom))


def _exp(value: float) -> float:
    # Two jobs a side that differ much make bounds beyond what a float holds.
    return math.exp(min(value, 700.0))


def verdicts(found: Sequence[SpeedUp | None]) -> list[str]:
    """ "faster" or "slower", of the second, only where that holds after Holm's correction for all comparisons."""
    tested = [place for place, each in enumerate(found) if each is not None and each.p is not None]
    verdict = [TOO_FEW if each is not None else "" for each in found]
    for place in tested:
        verdict[place] = NO_DIFFERENCE
    for rank, place in enumerate(sorted(tested, key=lambda place: _p(found[place]))):
        if _p(found[place]) * (len(tested) - rank) > 1 - CONFIDENCE:
            break
        each = found[place]
        verdict[place] = "faster" if each is not None and each.value > 1 else "slower"
    return verdict


def _p(each: SpeedUp | None) -> float:
    assert each is not None  # only those with a p are ranked
    assert each.p is not None
    return each.p
