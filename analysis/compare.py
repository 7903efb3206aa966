"""``pulldriver compare``: two studies side by side, image by image and size by size."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from analysis import wording
from analysis.bootstrap import SpeedUp, speed_up
from analysis.cost import Price, cluster_costs
from analysis.environments import differences, environment_of
from analysis.facts import UNKNOWN_CACHE, Facts, cache_order, gather_facts, image_key
from analysis.quantiles import median
from analysis.source import Source
from analysis.study import read_study
from pulls.image import parse_image

_LISTED_VALUES = 60  # characters of a differing value


@dataclass(frozen=True)
class PullComparison:
    """One image at one size in one cache state; ``first`` and ``second`` are the median seconds."""

    image: str
    size: int
    cache: str
    first: float
    second: float
    first_pulls: int
    second_pulls: int
    speed_up: SpeedUp | None


@dataclass(frozen=True)
class SizeComparison:
    """One cluster size: the makespans of the images that both studies pulled at it, one job each, and their cost."""

    size: int
    images: int
    first_seconds: float
    second_seconds: float
    first_cost: str
    second_cost: str


@dataclass(frozen=True)
class Comparison:
    """``cautions`` say where like is not compared with like."""

    first: str
    second: str
    cautions: tuple[str, ...]
    pulls: tuple[PullComparison, ...]
    sizes: tuple[SizeComparison, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The comparison as text, a line each."""
        yield f"first: {self.first}   second: {self.second}"
        for caution in self.cautions:
            yield f"note: {caution}"
        yield ""
        if not self.pulls:
            yield "No image was pulled at the same size in the same cache state in both: nothing to compare."
            return
        yield from _text_table(_PULL_HEADER, map(_pull_cells, self.pulls))
        yield ""
        yield "Medians of pull durations; a speed-up above 1 says that the second is faster (95% bootstrap interval)."
        yield ""
        yield from _text_table(_SIZE_HEADER, map(_size_cells, self.sizes))


def compare(first: Path | Source, second: Path | Source) -> Comparison:
    """Raises NotAStudyError, StoreError."""
    sides = [gather_facts(read_study(where)) for where in (first, second)]
    values = [_durations(facts) for facts in sides]
    shared = sorted(values[0].keys() & values[1].keys())
    return Comparison(
        first=str(first),
        second=str(second),
        cautions=tuple(_cautions(sides, values)),
        pulls=tuple(_compared(key, values[0][key], values[1][key]) for key in shared),
        sizes=tuple(_sizes(sides)),
    )


class Key(NamedTuple):
    """What of two studies is compared with each other; sorts as it is listed."""

    cache_order: int
    layers: int
    unpacked_bytes: int
    image: str
    size: int
    cache: str


Durations = dict[Key, list[float]]


def _key(image: str, size: int, cache: str) -> Key:
    """Images of two studies are the same by layers and bytes, or by name and tag; their registries may differ."""
    known = image_key(image)
    name = wording.image_name(image) if known.layers else image.rpartition("/")[2]
    return Key(cache_order(cache), known.layers or 0, known.unpacked_bytes or 0, name, size, cache)


def _durations(facts: Facts) -> Durations:
    found: Durations = defaultdict(list)
    for group in facts.groups:
        for (image, _), records in group.pulls.items():
            for record in records:
                if record.pull_seconds is not None:
                    found[_key(image.image, record.size or 0, group.cache)].append(record.pull_seconds)
    return dict(found)


def _compared(key: Key, first: Sequence[float], second: Sequence[float]) -> PullComparison:
    medians = (median(first), median(second))
    counts = (len(first), len(second))
    return PullComparison(key.image, key.size, key.cache, *medians, *counts, speed_up(first, second))


def _sizes(sides: Sequence[Facts]) -> Iterator[SizeComparison]:
    makespans = [_makespans(facts) for facts in sides]
    prices = [_price(facts) for facts in sides]
    shared = makespans[0].keys() & makespans[1].keys()
    for size in sorted({key.size for key in shared}):
        keys = [key for key in shared if key.size == size]
        first, second = (sum(fmean(side[key]) for key in keys) for side in makespans)
        costs = (_cost(first, size, prices[0]), _cost(second, size, prices[1]))
        yield SizeComparison(size, len({key.image for key in keys}), first, second, *costs)


def _makespans(facts: Facts) -> Durations:
    found: Durations = defaultdict(list)
    for job in facts.jobs:
        if job.image is not None and job.size and job.makespan_seconds is not None and not job.failed:
            found[_key(job.image, job.size, job.cache)].append(job.makespan_seconds)
    return dict(found)


def _price(facts: Facts) -> Price | None:
    return next((cost.price for cost in cluster_costs(facts.study, facts.jobs) if cost.price), None)


def _cost(seconds: float, size: int, price: Price | None) -> str:
    return wording.money(size * seconds / 3600 * price.per_node_hour, price.currency) if price else wording.UNKNOWN


def _cautions(sides: Sequence[Facts], values: Sequence[Durations]) -> Iterator[str]:
    yield from _simulation_caution(sides)
    yield from _environment_cautions(sides)
    yield from _cache_cautions(values)
    repositories = [{parse_image(record.image).repository for record in side.pulled if record.image} for side in sides]
    if repositories[0] != repositories[1]:
        named = [wording.listed(sorted(found), at_most=2) for found in repositories]
        yield f"images are of {named[0]} in the first and of {named[1]} in the second; matched by layers and bytes"


def _simulation_caution(sides: Sequence[Facts]) -> Iterator[str]:
    simulated = [facts.study.simulated for facts in sides]
    if simulated[0] != simulated[1]:
        yield f"the {'first' if simulated[0] else 'second'} is simulated, the other is not"
    elif simulated[0]:
        yield "both are simulated"


def _environment_cautions(sides: Sequence[Facts]) -> Iterator[str]:
    environments = {
        f"{place}: {row.cluster}": environment_of(row)
        for place, facts in enumerate(sides)
        for row in facts.study.ledger.clusters
    }
    for place, word in enumerate(("first", "second")):
        if not any(values for name, values in environments.items() if name.startswith(f"{place}: ")):
            yield f"the {word} has no environment saved: whether the nodes were alike is unknown"
    for name, by_cluster in differences(environments).items():
        seen = [
            {value for cluster, value in by_cluster.items() if cluster.startswith(f"{place}: ")} for place in (0, 1)
        ]
        # Clusters of one study may differ among themselves; here counts what the studies do not have in common.
        if seen[0] and seen[1] and seen[0] != seen[1]:
            shown = [wording.listed(sorted(map(_short, values)), at_most=2) for values in seen]
            yield f"environments differ in {name.replace('_', ' ')}: {shown[0]} and {shown[1]}"


def _short(value: str) -> str:
    text = value or "not said"
    return text if len(text) <= _LISTED_VALUES else f"{text[:_LISTED_VALUES]}…"


def _cache_cautions(values: Sequence[Durations]) -> Iterator[str]:
    states = [{key.cache for key in side} for side in values]
    for place, word in enumerate(("first", "second")):
        alone = sorted(states[place] - states[1 - place])
        if alone:
            yield f"only the {word} has pulls with cache state {wording.listed(alone)}: they are compared with nothing"
    if UNKNOWN_CACHE in states[0] & states[1]:
        yield "the cache state of some pulls was not recorded: cold and warm may be mixed in them"


_PULL_HEADER = ("image", "nodes", "cache", "first", "second", "pulls", "speed-up", "95% interval", "the second is")
_SIZE_HEADER = ("nodes", "images", "first makespans", "second makespans", "speed-up", "first cost", "second cost")


def _pull_cells(row: PullComparison) -> tuple[str, ...]:
    ratio = row.speed_up
    bounds = (
        f"{ratio.low:.3f} to {ratio.high:.3f}" if ratio and ratio.low is not None and ratio.high is not None else ""
    )
    return (
        row.image,
        str(row.size),
        row.cache,
        wording.seconds(row.first),
        wording.seconds(row.second),
        f"{row.first_pulls}/{row.second_pulls}",
        f"{ratio.value:.3f}" if ratio else wording.UNKNOWN,
        bounds,
        ratio.verdict if ratio else "",
    )


def _size_cells(row: SizeComparison) -> tuple[str, ...]:
    ratio = row.first_seconds / row.second_seconds if row.second_seconds else None
    sums = (wording.seconds(row.first_seconds), wording.seconds(row.second_seconds))
    return (
        str(row.size),
        str(row.images),
        *sums,
        f"{ratio:.3f}" if ratio else wording.UNKNOWN,
        row.first_cost,
        row.second_cost,
    )


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
