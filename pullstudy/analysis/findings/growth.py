"""Where makespans grow with the cluster: by phase of the jobs' critical paths.

The upstream study left this open: pulls take as long on 256 nodes as on 4, yet the whole run takes far longer.

A makespan is what a workload feels of its images: from its job's start to its end. Each is its critical path's
segments, so that a sum of makespans is a sum of segments by name, and what grows with the size can be read off, to the
second. What the study itself adds between jobs is no part of it (see schedule).

Compared are the workloads (sets of images) that every size ran, a mean of their repeats, in one cache state. Makespans
are cut at the last moment of CUTS that at every size nine jobs in ten have; of the moments before it those count that
at every size at least half of the jobs have. Left out are jobs that lack one that counts, because their segments would
have other names.

Whether something grows is judged by clusters, not by jobs: what all jobs of one cluster share (its day, its registry's
load) is no growth with the nodes. Two clusters cannot tell; phases are tested together (Holm).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from pullstudy.analysis.findings.common_moments import had_in_each, last_common
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.growth_finding import growth_verdict
from pullstudy.analysis.statistics.doubling import Doubling, per_doubling
from pullstudy.analysis.statistics.holm import holds
from pullstudy.analysis.statistics.regression import FittedLine, fit
from pullstudy.analysis.timelines.critical_path import Path, PathSegment
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.analysis.timelines.timeline import MOMENTS
from pullstudy.pulls.milestone import Moment

_HALF = 0.5
_NO_GROWTH = 0.05  # of the smallest size's makespans


class PhaseVerdict(StrEnum):
    """Whether a phase grows with the nodes."""

    YES = "yes"
    SHRINKS = "shrinks"
    NO = "no"  # or by too little to matter
    UNKNOWN = "cannot tell"
    UNRESOLVED = "unresolved"  # it changed by no more than its times can be off by


@dataclass(frozen=True)
class PhaseBySize:
    """One phase's seconds on the critical paths, summed over the workloads, at each size; never below zero."""

    phase: str
    seconds: dict[int, float]
    resolution_seconds: float  # by how much they can be off at most, times of whole seconds being cut off
    per_node: FittedLine | None  # its growth in seconds a node, of the mean workload: a line through clusters

    def growth_seconds(self, small: int, large: int) -> float:
        return self.seconds[large] - self.seconds[small]

    def resolved(self, small: int, large: int) -> bool:
        """Whether it changed by more than its times' resolution: a coarser source at one size looks like growth."""
        return abs(self.growth_seconds(small, large)) > self.resolution_seconds


@dataclass(frozen=True)
class Decomposition:
    """Makespans by size and what they are made of; ``phases`` add up to ``makespan_seconds``."""

    run: str | None
    cache: str
    sizes: tuple[int, ...]
    workloads: tuple[str, ...]
    until: Moment  # where the makespans end
    makespan_seconds: dict[int, float]  # summed over the workloads
    phases: tuple[PhaseBySize, ...]
    jobs: dict[int, int]  # that were compared, by size
    left_out: int  # jobs that failed, with moments missing, or of workloads that not every size ran
    moved_seconds: float  # the most by which a moment was moved to come after the one that it follows
    per_doubling: Doubling | None  # of the makespans; None where there is one size

    @property
    def growth_seconds(self) -> float:
        """From the smallest size to the largest."""
        return self.makespan_seconds[self.sizes[-1]] - self.makespan_seconds[self.sizes[0]]

    @property
    def grew(self) -> bool:
        """By more than a twentieth: of less, shares would be arbitrary."""
        return self.growth_seconds > _NO_GROWTH * self.makespan_seconds[self.sizes[0]]

    def share_of_increase(self, phase: PhaseBySize) -> float | None:
        """Of all that got longer from the smallest size to the largest; None where the phase or the whole did not."""
        small, large = self.sizes[0], self.sizes[-1]
        longer = phase.growth_seconds(small, large)
        if not self.grew or longer <= 0:
            return None
        return longer / sum(max(0.0, each.growth_seconds(small, large)) for each in self.phases)

    @property
    def verdict(self) -> Verdict:
        """Whether makespans grow with the nodes."""
        return growth_verdict(self.per_doubling)

    def phase_verdicts(self) -> list[PhaseVerdict]:
        """Of each phase, all tested together. No: by less than a twentieth of the makespans from end to end."""
        held = holds([phase.per_node.p if phase.per_node else None for phase in self.phases])
        return [self._phase_verdict(*pair) for pair in zip(self.phases, held, strict=True)]

    def _phase_verdict(self, phase: PhaseBySize, held: bool) -> PhaseVerdict:
        line, small, large = phase.per_node, self.sizes[0], self.sizes[-1]
        if line is None or line.slope_high is None:
            return PhaseVerdict.UNKNOWN
        if held and not phase.resolved(small, large):
            return PhaseVerdict.UNRESOLVED
        if held:
            return PhaseVerdict.YES if line.slope > 0 else PhaseVerdict.SHRINKS
        most = line.slope_high * (large - small) * len(self.workloads)
        return PhaseVerdict.NO if most < _NO_GROWTH * self.makespan_seconds[small] else PhaseVerdict.UNKNOWN


@dataclass(frozen=True)
class _Cost:
    """What one job cost, by phase."""

    cluster: str
    size: int
    workload: str
    parts: dict[str, PathSegment]

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts.values())


_NOTHING = PathSegment(Moment.JOB_CREATED, Moment.JOB_CREATED, 0.0, 0.0)


def decompositions(jobs: Sequence[JobSummary]) -> list[Decomposition]:
    """One for each run and cache state in which every size ran a workload in common."""
    kinds = dict.fromkeys((job.run, job.cache) for job in jobs)
    found = [decompose([job for job in jobs if (job.run, job.cache) == kind]) for kind in kinds]
    return [decomposition for decomposition in found if decomposition is not None]


def decompose(jobs: Sequence[JobSummary]) -> Decomposition | None:
    """Of jobs of one run in one cache state; None where no workload was run at every size."""
    able = [job for job in jobs if not job.failed and job.size is not None and job.workload is not None]
    until = last_common(_by_size_of((job.size, set(job.paths)) for job in able))
    if until is None:
        return None
    paths = [(job, path) for job in able if (path := job.paths.get(until))]
    usual = _usual_moments(paths)
    costs = [_cost(job, _coarsened(path, usual)) for job, path in paths if usual <= set(_moments(path))]
    sizes = tuple(sorted({cost.size for cost in costs}))
    workloads = _common_workloads(costs, sizes)
    if not workloads:
        return None
    compared = [cost for cost in costs if cost.workload in workloads]
    names = sorted({name for cost in compared for name in cost.parts}, key=_order)
    phases = tuple(_by_size(name, compared, sizes, workloads) for name in names)
    return Decomposition(
        run=jobs[0].run,
        cache=jobs[0].cache,
        sizes=sizes,
        workloads=workloads,
        until=until,
        makespan_seconds={size: sum(phase.seconds[size] for phase in phases) for size in sizes},
        phases=phases,
        jobs=Counter(cost.size for cost in compared),
        left_out=len(jobs) - len(compared),
        moved_seconds=max(part.moved_seconds for cost in compared for part in cost.parts.values()),
        per_doubling=_per_doubling(compared),
    )


def _by_size_of(had: Iterable[tuple[int | None, set[Moment]]]) -> list[list[set[Moment]]]:
    groups: dict[int | None, list[set[Moment]]] = defaultdict(list)
    for size, moments in had:
        groups[size].append(moments)
    return list(groups.values())


def _moments(path: Path) -> list[Moment]:
    return [*(segment.begin for segment in path), path[-1].end]


def _usual_moments(paths: Sequence[tuple[JobSummary, Path]]) -> set[Moment]:
    return had_in_each(_by_size_of((job.size, set(_moments(path))) for job, path in paths), _HALF)


def _coarsened(path: Path, usual: set[Moment]) -> Path:
    """The path with only those moments: segments around the others are joined."""
    joined: list[PathSegment] = []
    for segment in path:
        joined.append(_join(joined.pop(), segment) if joined and segment.begin not in usual else segment)
    return tuple(joined)


def _join(before: PathSegment, after: PathSegment) -> PathSegment:
    return PathSegment(
        before.begin,
        after.end,
        before.seconds + after.seconds,
        max(before.resolution_seconds, after.resolution_seconds),
        max(before.moved_seconds, after.moved_seconds),
    )


def _cost(job: JobSummary, path: Path) -> _Cost:
    assert job.size is not None  # decompose looked
    assert job.workload is not None
    return _Cost(job.cluster, job.size, job.workload, {segment.name: segment for segment in path})


def _common_workloads(costs: Iterable[_Cost], sizes: Sequence[int]) -> tuple[str, ...]:
    seen: dict[str, set[int]] = defaultdict(set)
    for cost in costs:
        seen[cost.workload].add(cost.size)
    return tuple(workload for workload, at in seen.items() if len(at) == len(sizes))


def _by_size(name: str, costs: Sequence[_Cost], sizes: Sequence[int], workloads: Sequence[str]) -> PhaseBySize:
    repeats: dict[tuple[int, str], list[PathSegment]] = defaultdict(list)
    for cost in costs:
        repeats[cost.size, cost.workload].append(cost.parts.get(name, _NOTHING))
    cells = {key: fmean(part.seconds for part in parts) for key, parts in repeats.items()}
    coarseness = {key: max(part.resolution_seconds for part in parts) for key, parts in repeats.items()}
    return PhaseBySize(
        phase=name,
        seconds={size: sum(cells[size, workload] for workload in workloads) for size in sizes},
        resolution_seconds=max(sum(coarseness[size, workload] for workload in workloads) for size in sizes),
        per_node=_line(name, costs),
    )


def _line(name: str, costs: Sequence[_Cost]) -> FittedLine | None:
    """Through each cluster's mean of its workloads' means."""
    found = [
        (size, _mean_of_workloads(of_cluster, lambda cost: cost.parts.get(name, _NOTHING).seconds))
        for size, of_cluster in _by_cluster(costs)
    ]
    return fit([size for size, _ in found], [seconds for _, seconds in found])


def _per_doubling(costs: Sequence[_Cost]) -> Doubling | None:
    """None where a makespan is 0: only times of one moment are known."""
    if any(cost.seconds <= 0 for cost in costs):
        return None
    found = [
        (size, _mean_of_workloads(of_cluster, lambda cost: math.log(cost.seconds)))
        for size, of_cluster in _by_cluster(costs)
    ]
    return per_doubling([size for size, _ in found], [value for _, value in found])


def _by_cluster(costs: Sequence[_Cost]) -> list[tuple[int, list[_Cost]]]:
    """Each cluster's size and jobs, of clusters that ran all of the workloads: others would differ by what they ran."""
    clusters: dict[str, list[_Cost]] = defaultdict(list)
    for cost in costs:
        clusters[cost.cluster].append(cost)
    everything = {cost.workload for cost in costs}
    return [(found[0].size, found) for found in clusters.values() if {cost.workload for cost in found} == everything]


def _mean_of_workloads(costs: Iterable[_Cost], value: Callable[[_Cost], float]) -> float:
    by_workload: dict[str, list[float]] = defaultdict(list)
    for cost in costs:
        by_workload[cost.workload].append(value(cost))
    return fmean(map(fmean, by_workload.values()))


def _order(name: str) -> tuple[int, int]:
    """By where the phase begins and ends."""
    begin, _, end = name.partition("_to_")
    places = [str(moment) for moment in MOMENTS]
    return (places.index(begin), places.index(end))
