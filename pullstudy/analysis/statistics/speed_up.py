"""How many times as fast a second study is, how sure that is, and verdicts that many comparisons at once do not make.

Values are of jobs, since pulls of one job share a registry, a moment and the cluster's state. Their logarithms are
compared, since a speed-up is a ratio. Three things make two equal studies differ:

- Jobs differ. Each image's variance is that of its own jobs, on each side; images are paired, and the variances of the
  pairs are added (Welch 1947; Satterthwaite 1946). Images without repeats take the variance of those that have some;
  where none has, the differences between the images' speed-ups stand for it, which are greater.
- Clusters differ, from day to day and from order to order, and with one cluster a side that cannot be told from what
  is compared. From LEAST_FREEDOM degrees of freedom on it is measured: by clusters of one size in one study, or else by
  how the speed-up differs from size to size (Student's paired t). With less it is assumed, as a standard deviation of
  a cluster's level.
- Of many comparisons some seem to differ by chance: Holm 1979.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist, fmean, variance
from typing import Generic, NamedTuple, TypeVar

from pullstudy.analysis.statistics.confidence import CONFIDENCE, errors_to_bound, ratio_of
from pullstudy.analysis.statistics.holm import holds
from pullstudy.analysis.statistics.student import two_sided

ASSUMED_CLUSTER_SPREAD = 0.05
ASSUMED_FREEDOM = 30  # as if so many clusters had shown it: an assumption is not exact either
LEAST_FREEDOM = 5  # sizes less one, or clusters less their groups
ALIKE = 1.1  # an interval within a tenth of 1 says that there is no difference that matters

Jobs = Mapping[str, Sequence[float]]  # values above 0 of an image's jobs, by cluster
K = TypeVar("K", bound=Hashable)  # an image


class Answer(StrEnum):
    """Of a comparison."""

    FASTER = "faster"
    SLOWER = "slower"
    ALIKE = "alike"  # surely within a tenth
    UNKNOWN = "cannot tell"


class Basis(StrEnum):
    """What tells how much clusters differ."""

    ASSUMED = "assumed"
    CLUSTERS = "clusters of one size"
    SIZES = "the sizes"


@dataclass(frozen=True)
class SpeedUp:
    """How many times as fast the second is. Bounds and p are None where too few values leave their spread unknown.

    ``p`` is the chance of as great a difference, either way, where there is none.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def inverse(self) -> "SpeedUp":
        """How many times as long the second takes."""
        low, high = (1 / bound if bound else None for bound in (self.high, self.low))
        return SpeedUp(1 / self.value, low, high, self.p)


@dataclass(frozen=True)
class SpeedUps(Generic[K]):
    """Over all sizes, of each size, and of each image at a size."""

    overall: SpeedUp
    sizes: Mapping[int, SpeedUp]
    images: Mapping[tuple[int, K], SpeedUp]
    basis: Basis
    cluster_margins: Mapping[int, float]  # by how much a size's logarithm may be off because clusters differ (95%)
    sizes_differ: bool  # beyond chance: the overall interval then has what the sizes differ by in it
    same: bool  # the same values on both sides


class _Estimate(NamedTuple):
    """Of a logarithm. The variance is None where nothing tells it."""

    value: float
    variance: float | None
    freedom: float = math.inf


class _Cell(NamedTuple):
    """One image's jobs on one side: the mean over its clusters, and the squares of the jobs within them."""

    means: Mapping[str, float]
    squares: float
    freedom: int
    scale: float  # the mean's variance over that of one job

    @property
    def mean(self) -> float:
        return fmean(self.means.values())


class _Pair(NamedTuple):
    first: _Cell
    second: _Cell
    same: bool  # the same values on both sides: they are the same jobs

    @property
    def difference(self) -> float:
        return self.first.mean - self.second.mean


_Pairs = Mapping[K, _Pair]


def speed_ups(
    sizes: Mapping[int, tuple[Mapping[K, Jobs], Mapping[K, Jobs]]], assumed: float = ASSUMED_CLUSTER_SPREAD
) -> SpeedUps[K] | None:
    """Of the images that both sides have at a size; None where there is none."""
    pairs = {size: found for size, sides in sorted(sizes.items()) if (found := _pairs(*sides))}
    if not pairs:
        return None
    jobs = _job_variance(pairs)
    rows = {(size, image): _of_pair(pair, jobs) for size, found in pairs.items() for image, pair in found.items()}
    means = {size: _mean([rows[size, image] for image in found]) for size, found in pairs.items()}
    basis, between = _between_clusters(pairs, means, assumed)
    if basis is not Basis.ASSUMED:  # measured with the jobs' variance in it
        means = {size: _Estimate(mean.value, 0.0) for size, mean in means.items()}
    whole = {size: _sum(mean, between[size]) for size, mean in means.items()}
    differ = basis is not Basis.SIZES and _differ(list(whole.values()))
    return SpeedUps(
        overall=_speed_up(_mean_of_sizes(list(whole.values()), Basis.SIZES if differ else basis)),
        sizes={size: _speed_up(estimate) for size, estimate in whole.items()},
        images={key: _speed_up(_sum(row, between[key[0]])) for key, row in rows.items()},
        basis=basis,
        cluster_margins={
            size: errors_to_bound(part.freedom) * math.sqrt(part.variance or 0.0) for size, part in between.items()
        },
        sizes_differ=differ,
        same=all(map(_same, pairs.values())),
    )


def _pairs(first: Mapping[K, Jobs], second: Mapping[K, Jobs]) -> dict[K, _Pair]:
    found: dict[K, _Pair] = {}
    for image in first:
        cells = [_cell(side[image]) for side in (first, second) if image in side]
        if len(cells) == 2 and cells[0] is not None and cells[1] is not None:
            found[image] = _Pair(cells[0], cells[1], _values(first[image]) == _values(second[image]))
    return found


def _values(jobs: Jobs) -> list[float]:
    return sorted(value for values in jobs.values() for value in values)


def _cell(jobs: Jobs) -> _Cell | None:
    logarithms = {cluster: [math.log(value) for value in values if value > 0] for cluster, values in jobs.items()}
    known = {cluster: values for cluster, values in logarithms.items() if values}
    if not known:
        return None
    means = {cluster: fmean(values) for cluster, values in known.items()}
    squares = math.fsum((value - means[cluster]) ** 2 for cluster, values in known.items() for value in values)
    freedom = sum(len(values) - 1 for values in known.values())
    return _Cell(means, squares, freedom, math.fsum(1 / len(values) for values in known.values()) / len(known) ** 2)


def _job_variance(sizes: Mapping[int, _Pairs[K]]) -> _Estimate:
    """Of one job, from all images that have repeats."""
    cells = [cell for pairs in sizes.values() for pair in pairs.values() for cell in (pair.first, pair.second)]
    freedom = sum(cell.freedom for cell in cells)
    squares = math.fsum(cell.squares for cell in cells)
    return _Estimate(0.0, squares / freedom if freedom else None, freedom)


def _of_pair(pair: _Pair, others: _Estimate) -> _Estimate:
    if pair.same:
        return _Estimate(0.0, 0.0)
    sides = [_of_cell(cell, others) for cell in (pair.first, pair.second)]
    return _Estimate(pair.difference, *_added(sides))


def _of_cell(cell: _Cell, others: _Estimate) -> _Estimate:
    if cell.freedom:
        return _Estimate(cell.mean, cell.squares / cell.freedom * cell.scale, cell.freedom)
    known = None if others.variance is None else others.variance * cell.scale
    return _Estimate(cell.mean, known, others.freedom)


def _added(parts: Iterable[_Estimate]) -> tuple[float | None, float]:
    """The variance of a sum, and its degrees of freedom."""
    parts = list(parts)
    known = [part for part in parts if part.variance is not None]
    if len(known) < len(parts):
        return None, 0.0
    total = math.fsum(part.variance or 0.0 for part in known)
    spent = math.fsum((part.variance or 0.0) ** 2 / part.freedom for part in known if part.freedom)
    return total, total**2 / spent if spent else math.inf


def _sum(left: _Estimate, right: _Estimate) -> _Estimate:
    return _Estimate(left.value + right.value, *_added([left, right]))


def _mean(rows: Sequence[_Estimate]) -> _Estimate:
    """Over images, each counting as much as another."""
    middle = fmean(row.value for row in rows)
    total, freedom = _added(rows)
    if total is not None:
        return _Estimate(middle, total / len(rows) ** 2, freedom)
    if len(rows) < 2:
        return _Estimate(middle, None)
    return _Estimate(middle, variance([row.value for row in rows]) / len(rows), len(rows) - 1)


def _mean_of_sizes(sizes: Sequence[_Estimate], basis: Basis) -> _Estimate:
    middle = fmean(size.value for size in sizes)
    if basis is Basis.SIZES:
        return _Estimate(middle, variance([size.value for size in sizes]) / len(sizes), len(sizes) - 1)
    total, freedom = _added(sizes)
    if basis is Basis.CLUSTERS:  # one measure of how clusters differ, for all sizes
        freedom = sizes[0].freedom
    return _Estimate(middle, None if total is None else total / len(sizes) ** 2, freedom)


def _differ(sizes: Sequence[_Estimate]) -> bool:
    """Cochran's Q (1954) against the chi-squared distribution's 95%, by Wilson and Hilferty's approximation (1931)."""
    known = [(size.value, 1 / size.variance) for size in sizes if size.variance]
    if len(known) < 2:
        return False
    middle = math.fsum(value * weight for value, weight in known) / math.fsum(weight for _, weight in known)
    spread = math.fsum(weight * (value - middle) ** 2 for value, weight in known)
    step = 2 / (9 * (len(known) - 1))
    return spread > (len(known) - 1) * (1 - step + NormalDist().inv_cdf(CONFIDENCE) * math.sqrt(step)) ** 3


def _between_clusters(
    sizes: Mapping[int, _Pairs[K]], means: Mapping[int, _Estimate], assumed: float
) -> tuple[Basis, dict[int, _Estimate]]:
    """By size, what clusters add to the variance of the speed-up."""
    counts = {size: _clusters(pairs) for size, pairs in sizes.items()}
    groups = [_levels(pairs, side) for pairs in sizes.values() for side in (0, 1)]
    freedom = sum(len(levels) - 1 for levels in groups)
    if freedom >= LEAST_FREEDOM:
        each = math.fsum(variance(levels) * (len(levels) - 1) for levels in groups if len(levels) > 1) / freedom
        between = {size: each * (1 / first + 1 / second) for size, (first, second) in counts.items()}
        return Basis.CLUSTERS, {size: _Estimate(0.0, part, freedom) for size, part in between.items()}
    if len(sizes) > LEAST_FREEDOM:
        spread = variance([mean.value for mean in means.values()])
        return Basis.SIZES, {size: _Estimate(0.0, spread, len(sizes) - 1) for size in sizes}
    return Basis.ASSUMED, {
        size: _Estimate(0.0, 0.0 if _same(sizes[size]) else assumed**2 * (1 / first + 1 / second), ASSUMED_FREEDOM)
        for size, (first, second) in counts.items()
    }


def _clusters(pairs: _Pairs[K]) -> tuple[int, int]:
    first = {cluster for pair in pairs.values() for cluster in pair.first.means}
    return len(first), len({cluster for pair in pairs.values() for cluster in pair.second.means})


def _same(pairs: _Pairs[K]) -> bool:
    return all(pair.same for pair in pairs.values())


def _levels(pairs: _Pairs[K], side: int) -> list[float]:
    """Of each cluster: its mean over the images that all clusters of the size pulled."""
    cells = [(pair.first, pair.second)[side] for pair in pairs.values()]
    clusters = dict.fromkeys(cluster for cell in cells for cluster in cell.means)
    whole = [cell for cell in cells if len(cell.means) == len(clusters)]
    return [fmean(cell.means[cluster] for cell in whole) for cluster in clusters] if whole else []


def _speed_up(estimate: _Estimate) -> SpeedUp:
    value = math.exp(estimate.value)
    if estimate.variance is None:
        return SpeedUp(value)
    error = math.sqrt(estimate.variance)
    if not error:
        return SpeedUp(value, value, value, 1.0 if estimate.value == 0 else 0.0)
    margin = errors_to_bound(estimate.freedom) * error
    low, high = (ratio_of(estimate.value + sign * margin) for sign in (-1, 1))
    return SpeedUp(value, low, high, _p(estimate.value / error, estimate.freedom))


def _p(t: float, freedom: float) -> float:
    return 2 * NormalDist().cdf(-abs(t)) if freedom > 1e6 else two_sided(t, freedom)


def answers(found: Sequence[SpeedUp | None]) -> list[Answer]:
    """Of all that are compared together: a difference only where it holds after Holm's correction for all of them."""
    held = holds([None if each is None else each.p for each in found], 1 - CONFIDENCE)
    return [_answer(*pair) for pair in zip(found, held, strict=True)]


def _answer(each: SpeedUp | None, held: bool) -> Answer:
    if each is not None and held:
        return Answer.FASTER if each.value > 1 else Answer.SLOWER
    return _alike(each)


def _alike(each: SpeedUp | None) -> Answer:
    if each is None or each.low is None or each.high is None:
        return Answer.UNKNOWN
    return Answer.ALIKE if each.low >= 1 / ALIKE and each.high <= ALIKE else Answer.UNKNOWN
