"""Whether a model leaves more unexplained than values of one kind scatter by themselves.

Sources: Draper and Smith 1998, chapter 2 (lack of fit against pure error); Neter et al. 1996 (an added curve).
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pullstudy.analysis.statistics.fisher import f_tail

_ROUNDS = 200  # of alternating means; they settle to the last digits in some ten where every group has every cell


@dataclass(frozen=True)
class LackOfFit:
    """``p``: the chance of as much lack of fit where the model holds."""

    p: float
    pure_freedom: int


def lack_of_fit(
    residuals: Sequence[float], groups: Sequence[Hashable], cells: Sequence[Hashable], parameters: int
) -> LackOfFit | None:
    """Of a model with an intercept a group and so many parameters: against one with a value for every cell.

    Both leave a group its level: what scatters beyond group and cell is pure error. None where nothing does.
    """
    pure = _about_means(residuals, groups, cells)
    levels = len(set(groups)) + len(set(cells)) - _parts(groups, cells)
    pure_freedom = len(residuals) - levels
    freedom = levels - len(set(groups)) - parameters
    error = sum(value * value for value in pure)
    if pure_freedom < 1 or freedom < 1 or error == 0:
        return None
    whole = sum(value * value for value in _about_means(residuals, groups))
    ratio = max(0.0, whole - error) / freedom / (error / pure_freedom)
    return LackOfFit(f_tail(ratio, freedom, pure_freedom), pure_freedom)


def curvature(residuals: Sequence[float], groups: Sequence[Hashable], xs: Sequence[float], parameters: int) -> float:
    """The chance of as much of a parabola over x in what a model left, were there none."""
    scale = max(map(abs, xs)) or 1.0
    bases = [_about_means([(x / scale) ** power for x in xs], groups) for power in (1, 2)]
    left = _about_means(residuals, groups)
    whole = sum(value * value for value in left)
    rest = _without(left, _orthogonal(bases))
    freedom = len(residuals) - len(set(groups)) - parameters - len(bases)
    error = sum(value * value for value in rest)
    if freedom < 1 or error == 0:
        return 1.0
    return f_tail((whole - error) / len(bases) / (error / freedom), len(bases), freedom)


def _about_means(values: Sequence[float], *factors: Sequence[Hashable]) -> list[float]:
    """What is left when the levels of all factors have a mean of 0: by alternating projections."""
    left = list(values)
    for _ in range(_ROUNDS if len(factors) > 1 else 1):
        for factor in factors:
            left = _about(left, factor)
    return left


def _about(values: Sequence[float], factor: Sequence[Hashable]) -> list[float]:
    sums: dict[Hashable, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for value, level in zip(values, factor, strict=True):
        sums[level][0] += value
        sums[level][1] += 1
    return [value - sums[level][0] / sums[level][1] for value, level in zip(values, factor, strict=True)]


def _parts(groups: Sequence[Hashable], cells: Sequence[Hashable]) -> int:
    """How many sets of groups have no cell in common with the others: each has a level that is counted twice."""
    part: dict[Hashable, Hashable] = {}
    for group, cell in zip(groups, cells, strict=True):
        first = part.setdefault(("group", group), ("part", group))
        second = part.setdefault(("cell", cell), first)
        for key, value in part.items():
            if value == second:
                part[key] = first
    return len(set(part.values()))


def _orthogonal(bases: Sequence[Sequence[float]]) -> list[list[float]]:
    found: list[list[float]] = []
    for base in bases:
        rest = _without(base, found)
        if sum(value * value for value in rest) > 1e-12:
            found.append(rest)
    return found


def _without(values: Sequence[float], bases: Sequence[Sequence[float]]) -> list[float]:
    left = list(values)
    for base in bases:
        share = sum(a * b for a, b in zip(left, base, strict=True)) / sum(b * b for b in base)
        left = [a - share * b for a, b in zip(left, base, strict=True)]
    return left
