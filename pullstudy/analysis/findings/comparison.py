"""What is concluded from two studies side by side: of pulls, makespans, costs and how much pulls spread.

A job is one value of each, whatever its containers and images. Images are paired by what they are and by the state of
the caches; sizes by the number of nodes. A study is the second compared with the first throughout.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import exp, hypot, log
from statistics import fmean
from typing import NamedTuple

from pullstudy.analysis.findings.common_moments import last_common
from pullstudy.analysis.statistics.quantile_intervals import ClusteredSample
from pullstudy.analysis.statistics.quantile_ratio import quantile_ratio
from pullstudy.analysis.statistics.quantiles import median, quantile
from pullstudy.analysis.statistics.rate_ratio import Counted, RateChange, rate_change
from pullstudy.analysis.statistics.speed_up import (
    ASSUMED_CLUSTER_SPREAD,
    Answer,
    Basis,
    Jobs,
    SpeedUp,
    SpeedUps,
    answers,
    speed_ups,
)
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.streamed import Streamed

LEAST_OF_RANGE = 4  # pulls of a job that have an interquartile range
_HOUR = 3600.0


class Quantity(StrEnum):
    """What of two studies is compared."""

    PULLS = "pulls"
    MAKESPAN = "makespan"
    COST = "cost"
    RANGE = "interquartile range"
    P95 = "p95"
    P99 = "p99"


class Item(NamedTuple):
    """An image, or a job's images, in one cache state: what of two studies is the same. Sorts as it is listed."""

    cache_order: int
    layers: int
    unpacked_bytes: int
    name: str
    cache: str


@dataclass(frozen=True)
class Pulls:
    """Of one image in one job: seconds of its downloads, and whether some of them were streamed."""

    cluster: str
    size: int
    item: Item
    seconds: Sequence[float]
    streamed: Streamed


@dataclass(frozen=True)
class Ended:
    """A job that ended well: seconds until each moment that it came to."""

    cluster: str
    size: int
    item: Item
    reached: Mapping[Moment, float]
    price: float | None  # of one node for an hour


@dataclass
class ComparedStudy:
    """What of a study is compared. ``failures`` are attempts that failed, of all attempts, by job or owner."""

    pulls: list[Pulls] = field(default_factory=list)  # of downloads alone
    jobs: list[Ended] = field(default_factory=list)
    failures: list[Counted] = field(default_factory=list)
    currency: str | None = None


@dataclass(frozen=True)
class Compared:
    """One size, or an image at a size. Levels are means over the images, of the quantity's unit."""

    speed_up: SpeedUp
    answer: Answer
    first: float
    second: float
    first_jobs: int
    second_jobs: int


@dataclass(frozen=True)
class QuantityCompared:
    """``sizes`` by nodes; ``images`` by nodes and item. Each of the three is corrected for itself."""

    quantity: Quantity
    overall: Compared
    sizes: Mapping[int, Compared]
    images: Mapping[tuple[int, Item], Compared]
    measured_clusters: bool  # how clusters differ is measured here, and not assumed
    sizes_differ: bool  # beyond chance: what is over all of them says little of one
    same: bool = False  # both sides are the same values


@dataclass(frozen=True)
class ComparedStudies:
    """``cluster_spread`` is what is assumed of clusters, as a standard deviation, where it cannot be measured."""

    quantities: Mapping[Quantity, QuantityCompared]
    streamed: Mapping[str, QuantityCompared]  # pulls apart, where some may have been streamed: by what both were
    failures: RateChange | None
    currency: str | None
    cluster_spread: float


def compared(
    first: ComparedStudy, second: ComparedStudy, cluster_spread: float = ASSUMED_CLUSTER_SPREAD
) -> ComparedStudies:
    sides = (first, second)
    currency = first.currency if first.currency == second.currency else None
    makespans, costs = _makespans(sides)
    values = {
        Quantity.PULLS: _by_size([_medians(side.pulls) for side in sides]),
        Quantity.MAKESPAN: makespans,
        Quantity.COST: costs if currency is not None else {},
        Quantity.RANGE: _by_size([_ranges(side.pulls) for side in sides]),
    }
    found = {
        quantity: result
        for quantity, sizes in values.items()
        if (result := _quantity(quantity, sizes, cluster_spread)) is not None
    }
    pulls = speed_ups(values[Quantity.PULLS], cluster_spread)
    if pulls is not None:
        for quantity, probability in ((Quantity.P95, 0.95), (Quantity.P99, 0.99)):
            found |= _tails(quantity, probability, sides, pulls)
    failures = rate_change(first.failures, second.failures)
    return ComparedStudies(found, _streamed(sides, cluster_spread), failures, currency, cluster_spread)


Values = dict[int, dict[Item, dict[str, list[float]]]]  # of jobs, by size, item and cluster
Side = Mapping[Item, Jobs]
Sizes = Mapping[int, tuple[Side, Side]]


def _values(told: Iterable[tuple[int, Item, str, float]]) -> Values:
    found: Values = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for size, item, cluster, value in told:
        found[size][item][cluster].append(value)
    return found


def _by_size(sides: list[Values]) -> Sizes:
    return {size: (sides[0][size], sides[1][size]) for size in sides[0] if size in sides[1]}


def _medians(pulls: Iterable[Pulls]) -> Values:
    return _values((each.size, each.item, each.cluster, median(each.seconds)) for each in pulls)


def _ranges(pulls: Iterable[Pulls]) -> Values:
    found = ((each, sorted(each.seconds)) for each in pulls)
    return _values(
        (each.size, each.item, each.cluster, quantile(ordered, 0.75) - quantile(ordered, 0.25))
        for each, ordered in found
        if len(ordered) >= LEAST_OF_RANGE
    )


def _makespans(sides: tuple[ComparedStudy, ComparedStudy]) -> tuple[Sizes, Sizes]:
    """Up to the last moment that nearly all jobs of an item at a size have on both sides, and at what that cost."""
    groups: dict[tuple[int, Item], list[list[Mapping[Moment, float]]]] = defaultdict(lambda: [[] for _ in sides])
    for place, side in enumerate(sides):
        for job in side.jobs:
            groups[job.size, job.item][place].append(job.reached)
    until = {key: last_common(filter(None, found)) for key, found in groups.items()}
    seconds = [
        [
            (job, job.reached[moment])
            for job in side.jobs
            if (moment := until[job.size, job.item]) is not None and moment in job.reached
        ]
        for side in sides
    ]
    makespans = [_values((job.size, job.item, job.cluster, took) for job, took in told) for told in seconds]
    costs = [
        _values(
            (job.size, job.item, job.cluster, job.price * job.size * took / _HOUR)
            for job, took in told
            if job.price is not None and job.size
        )
        for told in seconds
    ]
    return _by_size(makespans), _by_size(costs)


def _quantity(quantity: Quantity, sizes: Sizes, cluster_spread: float) -> QuantityCompared | None:
    found = speed_ups(sizes, cluster_spread)
    if found is None:
        return None
    shared = list(found.images)
    of_size = {size: [key for key in shared if key[0] == size] for size in found.sizes}
    images = answers(list(found.images.values()))
    at_sizes = answers(list(found.sizes.values()))
    return QuantityCompared(
        quantity=quantity,
        overall=_compared(found.overall, answers([found.overall])[0], sizes, shared),
        sizes={
            size: _compared(each, answer, sizes, of_size[size])
            for (size, each), answer in zip(found.sizes.items(), at_sizes, strict=True)
        },
        images={
            (size, item): _compared(each, answer, sizes, [(size, item)])
            for ((size, item), each), answer in zip(found.images.items(), images, strict=True)
        },
        measured_clusters=found.basis is not Basis.ASSUMED,
        sizes_differ=found.sizes_differ,
        same=found.same,
    )


def _compared(found: SpeedUp, answer: Answer, sizes: Sizes, keys: Iterable[tuple[int, Item]]) -> Compared:
    keys = list(keys)
    jobs = [
        [[value for values in sizes[size][side][item].values() for value in values] for size, item in keys]
        for side in (0, 1)
    ]
    levels = [fmean(map(fmean, side)) for side in jobs]
    return Compared(found, answer, levels[0], levels[1], *(sum(map(len, side)) for side in jobs))


def _streamed(sides: tuple[ComparedStudy, ComparedStudy], cluster_spread: float) -> dict[str, QuantityCompared]:
    """Each kind for itself: a mean over streamed and whole pulls is of neither."""
    seen = [_streamed_of(side.pulls) for side in sides]
    kinds = {key: (seen[0][key], seen[1][key]) for key in seen[0].keys() & seen[1].keys()}
    if set(kinds.values()) <= {(Streamed.WHOLE, Streamed.WHOLE)}:
        return {}
    found = {}
    for kind in sorted(set(kinds.values()), key=lambda kind: [list(Streamed).index(each) for each in kind]):
        chosen = [_medians(each for each in side.pulls if kinds.get((each.size, each.item)) == kind) for side in sides]
        part = _quantity(Quantity.PULLS, _by_size(chosen), cluster_spread)
        if part is not None:
            found[_kind_words(*kind)] = part
    return found


def _streamed_of(pulls: Iterable[Pulls]) -> dict[tuple[int, Item], Streamed]:
    """Of an image at a size: streamed where some of its pulls were."""
    found: dict[tuple[int, Item], set[Streamed]] = defaultdict(set)
    for each in pulls:
        found[each.size, each.item].add(each.streamed)
    return {key: most_streamed(states) for key, states in found.items()}


def most_streamed(states: Iterable[Streamed]) -> Streamed:
    """Of pulls that are one value."""
    return max(states, key=(Streamed.WHOLE, Streamed.UNKNOWN, Streamed.STREAMED).index)


def _kind_words(first: Streamed, second: Streamed) -> str:
    if first is second:
        return f"{_STREAMED_WORDS[first]} in both"
    return f"{_STREAMED_WORDS[first]} in the first, {_STREAMED_WORDS[second]} in the second"


_STREAMED_WORDS = {
    Streamed.STREAMED: "streamed",
    Streamed.WHOLE: "whole",
    Streamed.UNKNOWN: "perhaps streamed",  # its node streams what it can, and no event tells of this one
}


def _tails(
    quantity: Quantity, probability: float, sides: tuple[ComparedStudy, ComparedStudy], pulls: SpeedUps[Item]
) -> dict[Quantity, QuantityCompared]:
    """Of all pulls together, each as a share of what its image takes at its size."""
    usual = _usual(sides, pulls)
    sizes = {size: _tail(probability, sides, usual, pulls, [size]) for size in pulls.sizes}
    overall = _tail(probability, sides, usual, pulls, list(pulls.sizes))
    if overall is None:
        return {}
    known = {size: found for size, found in sizes.items() if found is not None}
    said = answers([found.speed_up for found in known.values()])
    return {
        quantity: QuantityCompared(
            quantity=quantity,
            overall=replace(overall, answer=answers([overall.speed_up])[0]),
            sizes={
                size: replace(found, answer=answer) for (size, found), answer in zip(known.items(), said, strict=True)
            },
            images={},
            measured_clusters=pulls.basis is not Basis.ASSUMED,
            sizes_differ=pulls.sizes_differ,
            same=pulls.same,
        )
    }


def _usual(sides: tuple[ComparedStudy, ComparedStudy], pulls: SpeedUps[Item]) -> dict[tuple[int, Item], float]:
    """The level of both sides together: the geometric mean of the jobs' medians, a side as much as the other."""
    levels: dict[tuple[int, Item], list[list[float]]] = defaultdict(lambda: [[], []])
    for place, side in enumerate(sides):
        for each in side.pulls:
            middle = median(each.seconds)
            if middle > 0 and (each.size, each.item) in pulls.images:
                levels[each.size, each.item][place].append(log(middle))
    return {key: exp(fmean(map(fmean, found))) for key, found in levels.items() if all(found)}


def _tail(
    probability: float,
    sides: tuple[ComparedStudy, ComparedStudy],
    usual: Mapping[tuple[int, Item], float],
    pulls: SpeedUps[Item],
    sizes: Sequence[int],
) -> Compared | None:
    chosen = [[each for each in side.pulls if each.size in sizes and (each.size, each.item) in usual] for side in sides]
    samples = [_sample(side, usual) for side in chosen]
    counts = {size: sum(len(each.seconds) for side in chosen for each in side if each.size == size) for size in sizes}
    total = sum(counts.values())
    margin = hypot(*(pulls.cluster_margins[size] * count / total for size, count in counts.items()))
    ratio = quantile_ratio(samples[0], samples[1], probability, margin)
    if ratio is None:
        return None
    levels = [quantile(sorted(value for each in side for value in each.seconds), probability) for side in chosen]
    found = SpeedUp(1.0, 1.0, 1.0, 1.0) if pulls.same else ratio
    return Compared(found, Answer.UNKNOWN, levels[0], levels[1], *map(len, chosen))


def _sample(pulls: Iterable[Pulls], usual: Mapping[tuple[int, Item], float]) -> ClusteredSample:
    strata: dict[tuple[int, Item], list[list[float]]] = defaultdict(list)
    for each in pulls:
        key = (each.size, each.item)
        strata[key].append([seconds / usual[key] for seconds in each.seconds])
    return ClusteredSample(strata.values())
