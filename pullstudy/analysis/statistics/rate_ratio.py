"""How many times as often something happens in a second sample: of counts in units (jobs), with what could have been.

Of independent events the second's share of all is binomial, and exact (Przyborowski and Wilenski 1940). Events that
come together, as failed pulls do, are worth fewer: counts are divided by their dispersion, the mean square of Pearson's
residuals between units (McCullagh and Nelder 1989, section 9.2).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pullstudy.analysis.statistics.confidence import TAIL
from pullstudy.analysis.statistics.incomplete_beta import at_least

_MANY = 1e9  # trials of which so few are successes that their number is Poisson's


class Counted(NamedTuple):
    """Of one unit: how often it happened, and how often it could have."""

    times: int
    trials: int


class RateChange(NamedTuple):
    """``ratio``: the second's rate over the first's; ``more``: how many more than by the first's rate. 95%.

    Bounds of a ratio are None where it is unbounded, or where nothing happened on either side.
    """

    first: int
    second: int
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    more: float
    more_low: float
    more_high: float


def rate_change(first: Sequence[Counted], second: Sequence[Counted]) -> RateChange | None:
    """None where a side has no trials."""
    trials = [sum(unit.trials for unit in side) for side in (first, second)]
    if not all(trials):
        return None
    counts = [sum(unit.times for unit in side) for side in (first, second)]
    dispersion = _dispersion(
        [(side, count / of) for side, count, of in zip((first, second), counts, trials, strict=True)]
    )
    worth = [count / dispersion for count in counts]
    exposure = trials[1] / trials[0]
    low, high = _odds(worth[0], worth[1])
    expected = counts[0] * exposure
    bounds = [[dispersion * bound for bound in _poisson(each)] for each in worth]
    more = counts[1] - expected
    return RateChange(
        first=counts[0],
        second=counts[1],
        ratio=counts[1] / expected if expected else None,
        ratio_low=low / exposure if low is not None else None,
        ratio_high=high / exposure if high is not None else None,
        more=more,
        more_low=more - math.hypot(counts[1] - bounds[1][0], (bounds[0][1] - counts[0]) * exposure),
        more_high=more + math.hypot(bounds[1][1] - counts[1], (counts[0] - bounds[0][0]) * exposure),
    )


def _dispersion(sides: Sequence[tuple[Sequence[Counted], float]]) -> float:
    """1 or more: counts that differ less than chance alone makes them are a coincidence."""
    residuals = [
        (unit.times - rate * unit.trials) ** 2 / (rate * unit.trials)
        for units, rate in sides
        for unit in units
        if rate * unit.trials > 0
    ]
    freedom = len(residuals) - sum(rate > 0 for _, rate in sides)
    return max(1.0, math.fsum(residuals) / freedom) if freedom > 0 else 1.0


def _odds(first: float, second: float) -> tuple[float | None, float | None]:
    """Bounds of the second's expected count over the first's."""
    total = first + second
    if not total:
        return None, None
    low = _solved(lambda share: at_least(second, total, share), TAIL) if second else 0.0
    high = _solved(lambda share: at_least(second + 1, total, share), 1 - TAIL) if first else None
    return low / (1 - low), high / (1 - high) if high is not None else None


def _poisson(count: float) -> tuple[float, float]:
    """Garwood's interval of the expected count (1936)."""
    most = count + 10 * math.sqrt(count + 1) + 20
    low = most * _solved(lambda part: at_least(count, _MANY, part * most / _MANY), TAIL) if count else 0.0
    high = most * _solved(lambda part: at_least(count + 1, _MANY, part * most / _MANY), 1 - TAIL)
    return low, high


def _solved(rising: Callable[[float], float], wanted: float) -> float:
    """Between 0 and 1, where the function comes to ``wanted``."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return low
