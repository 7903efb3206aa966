"""How many times as large something gets when something else doubles, judged by units that share nothing.

What is measured of one unit (a cluster) has that unit's own deviation in common: a quiet registry, a good day. So a
unit is one value, the mean of the logarithms of what was measured of it, and the line through these has as many degrees
of freedom as there are units, less two. Two units give a ratio and no interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pullstudy.analysis.statistics.confidence import ratio_of
from pullstudy.analysis.statistics.regression import fit


@dataclass(frozen=True)
class Doubling:
    """``value`` times as large a doubling; the bounds of its 95% interval are None where there are too few units."""

    value: float
    low: float | None
    high: float | None
    units: int
    p: float | None  # of as much growth, or shrinking, by chance; None as the bounds


def per_doubling(sizes: Sequence[float], logarithms: Sequence[float]) -> Doubling | None:
    """Of each unit its size and the mean of its values' natural logarithms; None where the sizes don't differ."""
    line = fit([math.log2(size) for size in sizes], logarithms)
    if line is None:
        return None
    low, high = (None if bound is None else ratio_of(bound) for bound in (line.slope_low, line.slope_high))
    return Doubling(ratio_of(line.slope), low, high, line.count, line.p)
