"""Quantiles of what was tried, and within which bounds nine of ten lie."""

import math
from collections.abc import Sequence
from statistics import fmean, pvariance

import msgspec

CONFIDENCE = 0.9
_LOW, _HIGH = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2


class Bounds(msgspec.Struct, frozen=True):
    """Nine of ten lie between them."""

    low: float
    high: float


class Estimate(msgspec.Struct, frozen=True):
    """What is to be expected, and between which bounds it comes nine times of ten."""

    value: float
    low: float
    high: float


class Quantiles(msgspec.Struct, frozen=True):
    """Half are below the first, 95 and 99 of a hundred below the others."""

    p50: Estimate
    p95: Estimate
    p99: Estimate


PROBABILITIES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def quantile(ordered: Sequence[float], probability: float) -> float:
    """Of sorted values; between two it is interpolated (Hyndman and Fan's type 7, as the report's)."""
    place = probability * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def bounds(values: Sequence[float]) -> Bounds:
    ordered = sorted(values)
    return Bounds(quantile(ordered, _LOW), quantile(ordered, _HIGH))


def estimate(values: Sequence[float]) -> Estimate:
    """Of the same quantity in many trials."""
    ordered = sorted(values)
    return Estimate(quantile(ordered, 0.5), quantile(ordered, _LOW), quantile(ordered, _HIGH))


def of_samples(samples: Sequence[Sequence[float]]) -> Quantiles:
    """Of many sorted samples, each of one trial: what such a sample's own quantiles will be."""
    return Quantiles(
        **{name: estimate([quantile(each, share) for each in samples]) for name, share in PROBABILITIES.items()}
    )


def of_pairs(pairs: Sequence[tuple[float, float]]) -> Quantiles:
    """Quantiles of single values on one cluster, of which two were tried on each of many.

    How clusters differ is what the means of pairs differ by, less what chance within a pair makes of it; how values of
    one cluster differ, by what the two of a pair do. Both of logarithms.
    """
    logs = [(math.log(first), math.log(second)) for first, second in pairs]
    means = [(first + second) / 2 for first, second in logs]
    within = sorted(sign * (first - second) / math.sqrt(2) for first, second in logs for sign in (1, -1))
    by_chance, all_of_it = pvariance(within) / 2, pvariance(means)
    share = math.sqrt(max(0.0, 1 - by_chance / all_of_it)) if all_of_it else 0.0
    middle = fmean(means)
    centres = [middle + share * (each - middle) for each in means]
    return Quantiles(
        **{
            name: estimate([math.exp(centre + quantile(within, probability)) for centre in centres])
            for name, probability in PROBABILITIES.items()
        }
    )
