"""``pulldriver compare``: two studies side by side, image by image and size by size."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pullstudy.analysis.findings.cost import NodePrice, cluster_costs
from pullstudy.analysis.reading.environments import differences, environment_of
from pullstudy.analysis.reading.source import StudySource
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import UNKNOWN_CACHE, Facts, cache_order, gather_facts, image_key
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.statistics.speed_up import SpeedUp, paired_speed_up, speed_up, verdicts
from pullstudy.pulls.image import parse_image

_LISTED_VALUES = 60  # characters of a differing value


@dataclass(frozen=True)
class PullComparison:
    """One image at one size in one cache state: medians of all pulls, and the speed-up from job to job."""

    image: str
    size: int
    cache: str
    first_median_seconds: float
    second_median_seconds: float
    first_pulls: int
    second_pulls: int
    first_jobs: int
    second_jobs: int
    speed_up: SpeedUp | None
    verdict: str  # whether the second is faster, corrected for all rows compared


@dataclass(frozen=True)
class Amount:
    """Money."""

    amount: float
    currency: str

    def __str__(self) -> str:
        return wording.money(self.amount, self.currency)


@dataclass(frozen=True)
class SizeComparison:
    """One cluster size: what the images that both studies pulled at it took, and what their makespans cost.

    ``images`` counts an image once for each cache state. Makespans are sums over the images, each the mean of its jobs.
    """

    size: int
    images: int
    pull_speed_up: SpeedUp | None  # of pull durations, over the images
    verdict: str  # whether the second's pulls are faster, corrected for all sizes compared
    first_makespans_seconds: float
    second_makespans_seconds: float
    first_cost: Amount | None
    second_cost: Amount | None


@dataclass(frozen=True)
class Comparison:
    """``cautions`` say in what the two studies are not comparable."""

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
        yield from _PULL_NOTES
        yield from _multiplicity(self.pulls)
        yield ""
        yield from _text_table(_SIZE_HEADER, map(_size_cells, self.sizes))
        yield ""
        yield from _SIZE_NOTES


def compare(first: Path | StudySource, second: Path | StudySource) -> Comparison:
    """Raises NotAStudyError, StoreError."""
    sides = [gather_facts(where) for where in (first, second)]
    values = [_durations(facts) for facts in sides]
    shared = sorted(values[0].keys() & values[1].keys())
    found = [_speed_up(values[0][key], values[1][key]) for key in shared]
    return Comparison(
        first=str(first),
        second=str(second),
        cautions=tuple(_cautions(sides, values)),
        pulls=tuple(
            _compared(key, values[0][key], values[1][key], ratio, verdict)
            for key, ratio, verdict in zip(shared, found, verdicts(found), strict=True)
        ),
        sizes=tuple(_sizes(sides, dict(zip(shared, found, strict=True)))),
    )


class Key(NamedTuple):
    """What of two studies is compared with each other; sorts as it is listed."""

    cache_order: int
    layers: int
    unpacked_bytes: int
    image: str
    size: int
    cache: str


Jobs = dict[tuple[str, str | None], list[float]]  # seconds of a job's pulls, by cluster and job
Durations = dict[Key, Jobs]


def _key(image: str, size: int, cache: str) -> Key:
    """Images of two studies are the same by layers and bytes, or by name and tag; their registries may differ."""
    known = image_key(image)
    name = wording.image_name(image) if known.layers else image.rpartition("/")[2]
    return Key(cache_order(cache), known.layers or 0, known.unpacked_bytes or 0, name, size, cache)


def _durations(facts: Facts) -> Durations:
    found: Durations = defaultdict(lambda: defaultdict(list))
    for job in facts.jobs:
        for pulls in job.pulls:
            key = _key(pulls.image, job.size or 0, pulls.cache)
            found[key][job.cluster, job.job].extend([*pulls.downloads, *pulls.riders])
    return dict(found)


def _speed_up(first: Jobs, second: Jobs) -> SpeedUp | None:
    return speed_up(*([median(pulls) for pulls in side.values()] for side in (first, second)))


def _compared(key: Key, first: Jobs, second: Jobs, found: SpeedUp | None, verdict: str) -> PullComparison:
    pulls = [[seconds for job in side.values() for seconds in job] for side in (first, second)]
    return PullComparison(
        image=key.image,
        size=key.size,
        cache=key.cache,
        first_median_seconds=median(pulls[0]),
        second_median_seconds=median(pulls[1]),
        first_pulls=len(pulls[0]),
        second_pulls=len(pulls[1]),
        first_jobs=len(first),
        second_jobs=len(second),
        speed_up=found,
        verdict=verdict,
    )


def _sizes(sides: Sequence[Facts], found: Mapping[Key, SpeedUp | None]) -> Iterator[SizeComparison]:
    makespans = [_makespans(facts) for facts in sides]
    prices = [_price(facts) for facts in sides]
    shared = makespans[0].keys() & makespans[1].keys()
    sizes = sorted({key.size for key in shared})
    paired = [
        paired_speed_up([each.value for key, each in found.items() if each and key.size == size]) for size in sizes
    ]
    for size, pulls, verdict in zip(sizes, paired, verdicts(paired), strict=True):
        keys = [key for key in shared if key.size == size]
        first, second = (sum(fmean(side[key]) for key in keys) for side in makespans)
        costs = (_cost(first, size, prices[0]), _cost(second, size, prices[1]))
        yield SizeComparison(size, len(keys), pulls, verdict, first, second, *costs)


def _makespans(facts: Facts) -> dict[Key, list[float]]:
    found: dict[Key, list[float]] = defaultdict(list)
    for job in facts.jobs:
        if job.image is not None and job.size and job.makespan_seconds is not None and not job.failed:
            found[_key(job.image, job.size, job.cache)].append(job.makespan_seconds)
    return dict(found)


def _price(facts: Facts) -> NodePrice | None:
    return next((cost.price for cost in cluster_costs(facts.study, facts.jobs) if cost.price), None)


def _cost(seconds: float, size: int, price: NodePrice | None) -> Amount | None:
    return Amount(size * seconds / 3600 * price.per_node_hour, price.currency) if price else None


def _cautions(sides: Sequence[Facts], values: Sequence[Durations]) -> Iterator[str]:
    yield from _simulation_caution(sides)
    yield from _environment_cautions(sides)
    yield from _cache_cautions(values)
    yield from _failure_cautions(sides)
    repositories = [{parse_image(image).repository for image in side.counts.images if image} for side in sides]
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
            yield f"the {word} has no environment saved: whether the nodes were the same is unknown"
    for name, by_cluster in differences(environments).items():
        seen = [
            {value for cluster, value in by_cluster.items() if cluster.startswith(f"{place}: ")} for place in (0, 1)
        ]
        # Clusters of one study may differ among themselves; here counts what the studies do not have in common.
        if seen[0] and seen[1] and seen[0] != seen[1]:
            shown = [wording.listed(sorted(map(_short, values)), at_most=2) for values in seen]
            yield f"environments differ in {name.replace('_', ' ')}: {shown[0]} and {shown[1]}"


def _short(value: str) -> str:
    text = value or "not recorded"
    return text if len(text) <= _LISTED_VALUES else f"{text[:_LISTED_VALUES]}…"


def _cache_cautions(values: Sequence[Durations]) -> Iterator[str]:
    states = [{key.cache for key in side} for side in values]
    for place, word in enumerate(("first", "second")):
        alone = sorted(states[place] - states[1 - place])
        if alone:
            yield f"only the {word} has pulls with cache state {wording.listed(alone)}: they are compared with nothing"
    if UNKNOWN_CACHE in states[0] & states[1]:
        yield "the cache state of some pulls was not recorded: cold and warm may be mixed in them"


def _failure_cautions(sides: Sequence[Facts]) -> Iterator[str]:
    """What did not end well has no duration: a side with more of it looks faster than it was."""
    attempts, jobs, missing = (list(map(count, sides)) for count in (_failed_attempts, _failed_jobs, _missing))
    if any(attempts):
        yield f"{attempts[0]:,} failed attempts in the first and {attempts[1]:,} in the second are in no median"
    if any(jobs):
        yield f"{jobs[0]:,} failed jobs in the first and {jobs[1]:,} in the second are in no makespan"
    if any(missing):
        yield f"{missing[0]:,} pulls of the first and {missing[1]:,} of the second are not accounted for"


def _failed_attempts(facts: Facts) -> int:
    return facts.failed.attempts_of_jobs


def _failed_jobs(facts: Facts) -> int:
    return sum(job.failed for job in facts.jobs)


def _missing(facts: Facts) -> int:
    return sum(audit.expected - audit.accounted for audit in facts.study.ledger.audits)


_PULL_HEADER = (
    *("image", "nodes", "cache", "first", "second", "pulls", "jobs"),
    *("speed-up", "95% interval", "the second is"),
)
_PULL_NOTES = (
    "First and second: the median pull. Speed-up: the geometric mean of the first's jobs over that of the second's,",
    "above 1 where the second is faster. A job is one value, its median pull, since pulls of one job share a registry",
    "and a moment: an interval (Welch's t) needs two jobs on each side, so sweep with --repeats.",
)
_SIZE_HEADER = (
    *("nodes", "images", "pulls' speed-up", "95% interval", "the second is"),
    *("first makespans", "second makespans", "speed-up", "first cost", "second cost"),
)
_SIZE_NOTES = (
    "Pulls' speed-up: the geometric mean over the images, an image one value (paired t). A size is one cluster in most",
    "studies, so that whatever else was different about it is in there. Makespans: their sum over the images, each the",
    "mean of its jobs; costs are of these makespans, without the time between jobs.",
)


def _multiplicity(rows: Sequence[PullComparison]) -> Iterator[str]:
    tested = sum(row.speed_up is not None and row.speed_up.p is not None for row in rows)
    yield f"Rows with an interval: {tested} of {len(rows)}."
    if tested > 1:
        yield "One in twenty of such intervals excludes 1 by chance: verdicts are corrected for all of them together"
        yield "(Holm's method, 5%)."


def _interval_cells(ratio: SpeedUp | None) -> tuple[str, str]:
    if ratio is None:
        return wording.UNKNOWN, ""
    bounded = ratio.low is not None and ratio.high is not None
    return f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}" if bounded else ""


def _pull_cells(row: PullComparison) -> tuple[str, ...]:
    return (
        row.image,
        str(row.size),
        row.cache,
        wording.seconds(row.first_median_seconds),
        wording.seconds(row.second_median_seconds),
        f"{row.first_pulls}/{row.second_pulls}",
        f"{row.first_jobs}/{row.second_jobs}",
        *_interval_cells(row.speed_up),
        row.verdict,
    )


def _size_cells(row: SizeComparison) -> tuple[str, ...]:
    first, second = row.first_makespans_seconds, row.second_makespans_seconds
    return (
        str(row.size),
        str(row.images),
        *_interval_cells(row.pull_speed_up),
        row.verdict,
        wording.seconds(first),
        wording.seconds(second),
        f"{first / second:.3f}" if second else wording.UNKNOWN,
        *(wording.UNKNOWN if cost is None else str(cost) for cost in (row.first_cost, row.second_cost)),
    )


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
