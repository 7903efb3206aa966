"""How sure a quantile is, where values come in units (jobs) whose values are more alike than those of different units.

By Woodruff's method: the quantile's rank is a share, and a share has a variance that is taken between units. It says
how many independent values these are worth; of so many the order statistics that enclose the quantile are known
exactly. The median of two to five units of one stratum has Student's interval of the units' medians.

Units may be of several strata (images), which are not drawn but given: only units of one stratum are compared with each
other. Where a stratum has one unit, its values are taken as independent, and units are assumed to differ by
ASSUMED_SPREAD, since nothing tells how much they do: intervals are wider by that.

Sources: Woodruff 1952; Korn and Graubard 1998 (the effective number of values, and its correction for few units);
Satterthwaite 1946 (the degrees of freedom of a sum of variances).
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from pullstudy.analysis.statistics.confidence import TAIL, errors_to_bound, ratio_of
from pullstudy.analysis.statistics.incomplete_beta import at_least
from pullstudy.analysis.statistics.quantiles import least_count, quantile

ASSUMED_SPREAD = 0.05  # standard deviation of the logarithm of a unit's level, where nothing tells it
_FEW_UNITS = 5  # up to so many the median's interval is Student's

Values = Sequence[float]  # of one unit, in order


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """A bound is None where the values cannot bound that side."""

    value: float
    low: float | None
    high: float | None


class _Spread(NamedTuple):
    """The variance of the number of values up to a limit, and its degrees of freedom."""

    variance: float
    freedom: float


class ClusteredSample:
    """Values by stratum and unit. No unit may be empty, and there has to be one."""

    def __init__(self, strata: Iterable[Iterable[Iterable[float]]]) -> None:
        given: list[list[Values]] = [[array("d", sorted(unit)) for unit in units] for units in strata]
        self._strata = [units for units in given if units]
        self.ordered = sorted(value for units in given for unit in units for value in unit)

    @property
    def units(self) -> int:
        return sum(map(len, self._strata))

    @property
    def alone(self) -> bool:
        """Whether a stratum has one unit only: how much units differ is then assumed."""
        return any(len(units) == 1 for units in self._strata)

    def quantile(self, probability: float) -> QuantileEstimate | None:
        """None for a quantile near 1 of too few values: it would be the largest value under another name."""
        if probability > 0.5 and len(self.ordered) < least_count(probability):
            return None
        value = quantile(self.ordered, probability)
        if probability == 0.5 and len(self._strata) == 1 and 1 < self.units <= _FEW_UNITS and self.ordered[0] > 0:
            return QuantileEstimate(value, *_of_medians(self._strata[0]))
        worth = self._worth(value)
        low, high = self._low(probability, worth), self._high(probability, worth)
        return QuantileEstimate(value, low and low / self._room, high and high * self._room)

    @property
    def _room(self) -> float:
        """By what factor a level may be off for what is assumed."""
        return math.exp(errors_to_bound(math.inf) * ASSUMED_SPREAD) if self.alone else 1.0

    def _worth(self, limit: float) -> float:
        """How many independent values those are worth where some of them are at most ``limit``."""
        count = len(self.ordered)
        share = bisect_right(self.ordered, limit) / count
        if self.units < 2:
            return count
        spread = _total(_between(units, limit) for units in self._strata)
        if not 0 < share < 1 or not spread.variance:
            # Nothing shows how units differ there: as much as around their medians.
            share, spread = 0.5, _total(_between(units, quantile(_pooled(units), 0.5)) for units in self._strata)
        if not spread.variance:  # all values are equal
            return count
        few = errors_to_bound(count - 1) / errors_to_bound(spread.freedom)
        return count * share * (1 - share) * count / spread.variance * few**2

    def _low(self, probability: float, worth: float) -> float | None:
        """The largest order statistic that as few values lie below by chance."""
        place = self._rank(1 - probability, worth)
        return self.ordered[place - 1] if place else None

    def _high(self, probability: float, worth: float) -> float | None:
        place = self._rank(probability, worth)
        return self.ordered[-place] if place else None

    def _rank(self, probability: float, worth: float) -> int:
        """Counted from the end beyond the quantile; 0 where no value lies surely beyond it."""
        low, high = 0.0, worth + 1
        while high - low > 1e-3 * min(1.0, worth / len(self.ordered)):
            middle = (low + high) / 2
            if at_least(worth + 1 - middle, worth, probability) <= TAIL:
                low = middle
            else:
                high = middle
        # Less than the worth of one value is no bound, and of few the last whole one is.
        whole = low if worth >= len(self.ordered) else math.floor(low + 0.002)
        return int(min(whole / worth, 1 - probability) * len(self.ordered) + 0.002) if low >= 0.998 else 0


def _pooled(units: Iterable[Values]) -> list[float]:
    return sorted(value for unit in units for value in unit)


def _between(units: Sequence[Values], limit: float) -> _Spread:
    """Of one stratum: between its units, and no less than independent values would have."""
    below = [bisect_right(unit, limit) for unit in units]
    count = sum(map(len, units))
    share = sum(below) / count
    independent = count * share * (1 - share)
    if len(units) < 2:
        return _Spread(independent, max(1, count - 1))
    squares = [(found - share * len(unit)) ** 2 for found, unit in zip(below, units, strict=True)]
    total = math.fsum(squares) * len(units) / (len(units) - 1)
    # Where few units make most of the variance, as few estimate it: 3 is the kurtosis of normal ones.
    heavy = 3 * math.fsum(squares) ** 2 / fourth if (fourth := math.fsum(each**2 for each in squares)) else len(units)
    return _Spread(max(total, independent), max(1.0, min(len(units), heavy) - 1))


def _total(strata: Iterable[_Spread]) -> _Spread:
    found = [spread for spread in strata if spread.variance]
    variance = math.fsum(spread.variance for spread in found)
    if not found:
        return _Spread(0.0, 1.0)
    return _Spread(variance, variance**2 / math.fsum(spread.variance**2 / spread.freedom for spread in found))


def _of_medians(units: Sequence[Values]) -> tuple[float, float]:
    """Student's t of the logarithms of the units' medians: bounded also where so few values would bound nothing."""
    logarithms = [math.log(quantile(unit, 0.5)) for unit in units]
    margin = errors_to_bound(len(units) - 1) * stdev(logarithms) / math.sqrt(len(units))
    middle = fmean(logarithms)
    return math.exp(middle - margin), ratio_of(middle + margin)
