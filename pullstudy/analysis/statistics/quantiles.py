"""Quantiles and what boxes are drawn from, computed here so that no chart carries every point."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MAXIMUM_OUTLIERS = 12  # drawn beyond each box; the farthest


def quantile(ordered: Sequence[float], probability: float) -> float:
    """By linear interpolation between order statistics (Hyndman and Fan's type 7, numpy's default)."""
    place = probability * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def least_count(probability: float) -> int:
    """Values from which a quantile near 1 is another than the largest value: 20 for p95, 100 for p99."""
    return round(1 / (1 - probability))


def upper_quantile(ordered: Sequence[float], probability: float) -> float | None:
    """None of fewer than ``least_count`` values: it would be the largest value under another name."""
    return quantile(ordered, probability) if len(ordered) >= least_count(probability) else None


def median(values: Sequence[float]) -> float:
    return quantile(sorted(values), 0.5)


def median_deviation(values: Sequence[float]) -> float:
    """Median absolute deviation from the median, unscaled."""
    middle = median(values)
    return median([abs(value - middle) for value in values])


@dataclass(frozen=True)
class Box:
    """Tukey's box: quartiles, whiskers at the last values within 1.5 interquartile ranges, the farthest outliers.

    Of few values a quartile lies between two of them and can be beyond the last one within reach: a whisker then ends
    at the box.
    """

    count: int
    low: float
    q1: float
    median: float
    q3: float
    high: float
    outliers: tuple[float, ...]


def box(values: Sequence[float]) -> Box:
    ordered = sorted(values)
    q1, middle, q3 = (quantile(ordered, p) for p in (0.25, 0.5, 0.75))
    reach = 1.5 * (q3 - q1)
    first = bisect_left(ordered, q1 - reach)
    last = bisect_right(ordered, q3 + reach)
    outliers = [*ordered[:first], *ordered[last:]]
    farthest = sorted(outliers, key=lambda value: abs(value - middle))[-MAXIMUM_OUTLIERS:]
    low, high = min(ordered[first], q1), max(ordered[last - 1], q3)
    return Box(len(ordered), low, q1, middle, q3, high, tuple(farthest))
