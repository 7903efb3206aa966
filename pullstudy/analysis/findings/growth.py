"""Where the wall time of a study grows with the cluster: by phase of the jobs' critical paths, and between jobs.

The upstream study left this open: pulls take as long on 256 nodes as on 4, yet the whole run takes far longer.

The wall time of a size is its jobs' makespans and the time between jobs; each makespan is its critical path's
segments. So wall time is a sum of segments by name, and what grows with the size can be read off, to the second.
Compared are the images that every size pulled, a mean of their repeats, in one cache state. A moment counts
where at every size at least half of the jobs have it; left out are jobs that lack one that counts, because their
segments would have other names.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from pullstudy.analysis.statistics.regression import FittedLine, fit_grouped
from pullstudy.analysis.timelines.critical_path import PathSegment
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.analysis.timelines.timeline import MOMENTS, Timestamp
from pullstudy.pulls.milestone import Moment

BETWEEN_JOBS = "between_jobs"
# The same in two, where the ledger has when a job and its pods were deleted.
UNTIL_DELETED, UNTIL_NEXT = "job_completed_to_job_deleted", "job_deleted_to_next_job"
_AFTER_JOBS = (BETWEEN_JOBS, UNTIL_DELETED, UNTIL_NEXT)


@dataclass(frozen=True)
class PhaseBySize:
    """One phase's seconds on the critical paths, summed over the images, at each size."""

    phase: str
    seconds: dict[int, float]
    resolution_seconds: float  # by how much they can be off at most, times of whole seconds being cut off
    per_node: FittedLine | None  # its growth in seconds a node, of the mean image; images have intercepts of their own

    def growth_seconds(self, small: int, large: int) -> float:
        return self.seconds[large] - self.seconds[small]

    def resolved(self, small: int, large: int) -> bool:
        """Whether it changed by more than its times' resolution: a coarser source at one size looks like growth."""
        return abs(self.growth_seconds(small, large)) > self.resolution_seconds


@dataclass(frozen=True)
class Decomposition:
    """Wall seconds by size and what they are made of; ``phases`` add up to ``wall_seconds``."""

    run: str | None
    cache: str
    sizes: tuple[int, ...]
    images: tuple[str, ...]
    wall_seconds: dict[int, float]
    phases: tuple[PhaseBySize, ...]
    left_out: int  # jobs that failed, with moments missing, or of images that not every size pulled

    @property
    def growth_seconds(self) -> float:
        """From the smallest size to the largest."""
        return self.wall_seconds[self.sizes[-1]] - self.wall_seconds[self.sizes[0]]

    def share_of_growth(self, phase: PhaseBySize) -> float | None:
        """None where the whole grew by less than a twentieth: the shares would be arbitrary."""
        small, large = self.sizes[0], self.sizes[-1]
        if self.growth_seconds <= max(0.0, 0.05 * self.wall_seconds[small]):
            return None
        return phase.growth_seconds(small, large) / self.growth_seconds


@dataclass(frozen=True)
class _Part:
    """A segment of one job, or the gap after it."""

    seconds: float
    resolution_seconds: float


_NOTHING = _Part(0.0, 0.0)


@dataclass(frozen=True)
class _Cost:
    """What one job cost, by phase."""

    size: int
    image: str
    parts: dict[str, _Part]


Gaps = dict[tuple[str, str, str | None], dict[str, _Part]]


def decompositions(jobs: Sequence[JobSummary]) -> list[Decomposition]:
    """One for each run and cache state in which every size pulled an image in common."""
    gaps = gaps_between(jobs)
    kinds = dict.fromkeys((job.run, job.cache) for job in jobs)
    found = [decompose([job for job in jobs if (job.run, job.cache) == kind], gaps) for kind in kinds]
    return [decomposition for decomposition in found if decomposition is not None]


def decompose(jobs: Sequence[JobSummary], gaps: Gaps) -> Decomposition | None:
    """Of jobs of one run in one cache state; None where no image was pulled at every size."""
    paths = [(job, job.path) for job in jobs if not job.failed]
    paths = [(job, path) for job, path in paths if path and job.size is not None and job.image is not None]
    usual = _usual_moments(paths)
    costs = [_cost(job, _coarsened(path, usual), gaps) for job, path in paths if usual <= set(_moments(path))]
    sizes = tuple(sorted({cost.size for cost in costs}))
    images = _common_images(costs, sizes)
    if not images:
        return None
    compared = [cost for cost in costs if cost.image in images]
    names = sorted({name for cost in compared for name in cost.parts}, key=_order)
    phases = tuple(_by_size(name, compared, sizes, images) for name in names)
    wall = {size: sum(phase.seconds[size] for phase in phases) for size in sizes}
    return Decomposition(
        run=jobs[0].run,
        cache=jobs[0].cache,
        sizes=sizes,
        images=images,
        wall_seconds=wall,
        phases=phases,
        left_out=len(jobs) - len(compared),
    )


PathSegments = Sequence[PathSegment]


def _moments(path: PathSegments) -> list[Moment]:
    return [*(segment.begin for segment in path), path[-1].end]


def _usual_moments(paths: Sequence[tuple[JobSummary, PathSegments]]) -> set[Moment]:
    usual = set(MOMENTS)
    for size in {job.size for job, _ in paths}:
        seen = [_moments(path) for job, path in paths if job.size == size]
        counts = Counter(moment for moments in seen for moment in moments)
        usual &= {moment for moment, count in counts.items() if 2 * count >= len(seen)}
    return usual


def _coarsened(path: PathSegments, usual: set[Moment]) -> PathSegments:
    """The path with only those moments: segments around the others are joined."""
    joined: list[PathSegment] = []
    for segment in path:
        if joined and segment.begin not in usual:
            before = joined.pop()
            resolution = max(before.resolution_seconds, segment.resolution_seconds)
            segment = PathSegment(before.begin, segment.end, before.seconds + segment.seconds, resolution)
        joined.append(segment)
    return joined


def gaps_between(jobs: Iterable[JobSummary]) -> Gaps:
    """From each job's end to the next one's start on its cluster, by the earlier job. The last has none.

    Divided at the job's deletion where every job's is known and is between.
    """
    by_cluster: dict[str, list[tuple[Timestamp, Timestamp, JobSummary]]] = defaultdict(list)
    for job in jobs:
        if job.start and job.end:
            by_cluster[job.cluster].append((job.start, job.end, job))
    following = [
        (ended, job, begun)
        for timed in by_cluster.values()
        for (_, ended, job), (begun, _, _) in pairwise(sorted(timed, key=lambda item: item[0].at))
    ]
    divided = all(job.deleted is not None and job.deleted.at <= begun.at for _, job, begun in following)
    return {
        (job.cluster, job.job, job.image): _gap_parts(ended, job.deleted if divided else None, begun)
        for ended, job, begun in following
    }


def _gap_parts(ended: Timestamp, deleted: Timestamp | None, begun: Timestamp) -> dict[str, _Part]:
    if deleted is None:
        return {BETWEEN_JOBS: _part(ended, begun)}
    return {UNTIL_DELETED: _part(ended, deleted), UNTIL_NEXT: _part(deleted, begun)}


def _part(earlier: Timestamp, later: Timestamp) -> _Part:
    return _Part(later.seconds_since(earlier), max(earlier.resolution_seconds, later.resolution_seconds))


def _cost(job: JobSummary, path: PathSegments, gaps: Gaps) -> _Cost:
    assert job.size is not None  # decompose looked
    assert job.image is not None
    parts = {segment.name: _Part(segment.seconds, segment.resolution_seconds) for segment in path}
    gap = gaps.get((job.cluster, job.job, job.image), {})
    return _Cost(job.size, job.image, {**parts, **gap})


def _common_images(costs: Iterable[_Cost], sizes: Sequence[int]) -> tuple[str, ...]:
    seen: dict[str, set[int]] = defaultdict(set)
    for cost in costs:
        seen[cost.image].add(cost.size)
    return tuple(image for image, at in seen.items() if len(at) == len(sizes))


def _by_size(name: str, costs: Sequence[_Cost], sizes: Sequence[int], images: Sequence[str]) -> PhaseBySize:
    repeats: dict[tuple[int, str], list[_Part]] = defaultdict(list)
    for cost in costs:
        repeats[cost.size, cost.image].append(cost.parts.get(name, _NOTHING))
    cells = {key: fmean(part.seconds for part in parts) for key, parts in repeats.items()}
    coarseness = {key: max(part.resolution_seconds for part in parts) for key, parts in repeats.items()}
    keys = sorted(cells)
    line = fit_grouped([image for _, image in keys], [size for size, _ in keys], [cells[key] for key in keys])
    return PhaseBySize(
        phase=name,
        seconds={size: sum(cells[size, image] for image in images) for size in sizes},
        resolution_seconds=max(sum(coarseness[size, image] for image in images) for size in sizes),
        per_node=line,
    )


def _order(name: str) -> tuple[int, int]:
    """By where the phase begins and ends; what is between jobs comes last."""
    if name in _AFTER_JOBS:
        return (len(MOMENTS), _AFTER_JOBS.index(name))
    begin, _, end = name.partition("_to_")
    places = [str(moment) for moment in MOMENTS]
    return (places.index(begin), places.index(end))
