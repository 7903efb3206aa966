"""Straight lines by least squares, with Student's confidence interval of the slope."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pullstudy.analysis.statistics.confidence import errors_to_bound
from pullstudy.analysis.statistics.student import two_sided


@dataclass(frozen=True)
class FittedLine:
    """y = intercept + slope * x. Bounds are None where there are too few points for any."""

    intercept: float
    slope: float
    slope_low: float | None
    slope_high: float | None
    r_squared: float | None
    count: int
    p: float | None = None  # of a slope as far from zero by chance; None as the bounds


def fit(xs: Sequence[float], ys: Sequence[float]) -> FittedLine | None:
    """None where the xs don't differ."""
    return fit_grouped([None] * len(xs), xs, ys)


def fit_grouped(groups: Sequence[Hashable], xs: Sequence[float], ys: Sequence[float]) -> FittedLine | None:
    """One slope for all groups, an intercept for each (fixed effects); ``intercept`` is their mean.

    None where no group's xs differ.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    mean_x = {group: fmean(xs[i] for i in indexes) for group, indexes in members.items()}
    mean_y = {group: fmean(ys[i] for i in indexes) for group, indexes in members.items()}
    dx = [x - mean_x[group] for group, x in zip(groups, xs, strict=True)]
    dy = [y - mean_y[group] for group, y in zip(groups, ys, strict=True)]
    sxx = math.fsum(d * d for d in dx)
    if sxx == 0:
        return None
    slope = math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / sxx
    residual = math.fsum((b - slope * a) ** 2 for a, b in zip(dx, dy, strict=True))
    total = math.fsum(d * d for d in dy)
    freedom = len(xs) - len(members) - 1
    error = math.sqrt(residual / freedom / sxx) if freedom else None
    margin = errors_to_bound(freedom) * error if error is not None else None
    return FittedLine(
        intercept=fmean(mean_y[group] - slope * mean_x[group] for group in members),
        slope=slope,
        slope_low=slope - margin if margin is not None else None,
        slope_high=slope + margin if margin is not None else None,
        r_squared=1 - residual / total if total else None,
        count=len(xs),
        p=_p(slope, error, freedom) if error is not None else None,
    )


def _p(slope: float, error: float, freedom: int) -> float:
    if error == 0:
        return 0.0 if slope else 1.0
    return two_sided(slope / error, freedom)
