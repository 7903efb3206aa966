"""Values that stand far above the others, judged so that many values have no more false alarms than few.

Logarithms of durations scatter about their median by a robust standard deviation (1.4826 times the median absolute
deviation, Hampel 1974). The limit is the normal quantile that the largest of n values passes with the given chance
(Sidak 1967), and allows for the median's own error in few values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pullstudy.analysis.statistics.quantiles import median, median_deviation

NORMAL_DEVIATIONS = 1.4826  # makes the median deviation of normal values their standard deviation


@dataclass(frozen=True, slots=True)
class HighOutliers:
    """``median`` of the values; those at ``places`` stand out. ``deviation`` is that of their logarithms."""

    median: float
    deviation: float
    places: tuple[int, ...]


def high_outliers(values: Sequence[float], *, least_deviation: float, level: float) -> HighOutliers:
    """Of values above 0. ``least_deviation``, of logarithms, is how far they scatter at least, whatever these few say.

    ``level`` is the chance of any outlier where there is none.
    """
    logarithms = [math.log(value) for value in values]
    middle = median(logarithms)
    deviation = max(least_deviation, NORMAL_DEVIATIONS * median_deviation(logarithms))
    limit = deviation * sidak_quantile(len(values), level) * math.sqrt(1 + math.pi / 2 / len(values))
    places = tuple(place for place, value in enumerate(logarithms) if value - middle > limit)
    return HighOutliers(math.exp(middle), deviation, places)


def sidak_quantile(count: int, level: float) -> float:
    """The standard normal value that the largest of ``count`` passes with the chance ``level``."""
    return NormalDist().inv_cdf((1 - level) ** (1 / count))
