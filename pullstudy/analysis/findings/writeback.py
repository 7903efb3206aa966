"""Write-back: what a node's volume has yet to write when a pull is over, and how long a container's end waits for it.

Linux writes dirty pages back once a background threshold of them is dirty (vm.dirty_background_ratio), and an overlay
is synced when it is unmounted. So an image of B bytes leaves B dirty where it is smaller than the threshold K; a larger
one leaves K, or what the volume could not write since the threshold was met, q seconds after the pull began:

    wait = max(min(B, K) / W, B / W - max(0, pull - q))

where the first is of a volume that is faster than the unpacking, the second of one that is slower. W, K and q are
fitted to the seconds between the start and the end of jobs, and the pull is as it was measured: what made it slow
leaves the volume more time, and does not disturb the estimate of W. Source: kernel.org, admin-guide/sysctl/vm.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean

from pullstudy.analysis.statistics.confidence import errors_to_bound
from pullstudy.analysis.statistics.fisher import f_tail
from pullstudy.analysis.statistics.lack_of_fit import curvature, lack_of_fit
from pullstudy.analysis.statistics.pattern_search import minimise
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome

_PARAMETERS = 3  # W, K and q
LEAST_STEP_BYTES = 500_000_000  # some seconds of any volume
LEAST_SIZES = 4  # of images: the law has three parameters
# Inodes, extents and the journal are written beside an image's bytes, and blocks are whole: about so much is unknown.
LAW_ERROR = 0.02
_FARTHEST = 5.0  # logarithm of a ratio of rates; an interval that reaches so far is none
_CALLS = 1.6  # the steps of the search for an interval's end grow by this
_BISECTIONS = 8
_MOST_POINTS = 300  # the fit tries some thousand laws on each
# Fewer degrees of freedom of pure error hardly reject anything.
_LEAST_PURE = 4


@dataclass(frozen=True, slots=True)
class JobPoint:
    """One job, in seconds since it began: the last "Pulling", the last start, and its end.

    Where the ends of its containers are known, "Pulling" and start are those of the one that ended last.
    """

    cluster: str
    cache: str
    size: int | None
    layers: int
    image_bytes: int  # unpacked, by the tag
    makespan_seconds: float
    pulling_seconds: float
    started_seconds: float
    pull_seconds: float | None  # the median of its pulls
    compressed_bytes: int | None = None  # as the kubelet counts the image

    @property
    def group(self) -> Hashable:
        """Jobs that have their fixed times in common."""
        return (self.cluster, self.cache, self.layers)

    @property
    def to_start(self) -> float:
        return self.started_seconds - self.pulling_seconds

    @property
    def to_end(self) -> float:
        return self.makespan_seconds - self.pulling_seconds

    @property
    def after_start(self) -> float:
        return self.makespan_seconds - self.started_seconds


@dataclass(frozen=True, slots=True)
class SizeStep:
    """From one image size to the next: at how many bytes a second further bytes came. None where it took no longer."""

    from_bytes: int
    to_bytes: int
    pull_rate: float | None
    makespan_rate: float | None


def point_of(job: JobTimeline) -> JobPoint | None:
    """None where it did not pull on every node, or start, end or the image's size is unknown."""
    shape = study_shape(parse_image(job.image).tag) if job.image else None
    start, makespan = job.start, job.makespan_seconds
    if shape is None or start is None or makespan is None or Moment.JOB_COMPLETED not in job.times:
        return None
    if job.failed or any(container.outcome is Outcome.CACHED for container in job.containers):
        return None
    pulling, started = (_last(job, moment) for moment in (Moment.PULLING, Moment.STARTED))
    if pulling is None or started is None:
        return None
    sizes = [pull.image_bytes for each in job.containers for pull in each.pulls if pull.image_bytes]
    compressed = sizes[0] if sizes else None
    return JobPoint(job.cluster, job.cache, job.size, *shape, makespan, pulling, started, _median_pull(job), compressed)


def _last(job: JobTimeline, moment: Moment) -> float | None:
    """Of the container that ended last where ends are known, else of the last that came to it."""
    assert job.start is not None  # point_of looked
    known = [container for container in job.containers if moment in container.times]
    critical = job.critical_container
    if critical is not None and {moment, Moment.FINISHED} <= critical.times.keys():
        known = [critical]
    return max((each.times[moment].seconds_since(job.start[1]) for each in known), default=None)


def _median_pull(job: JobTimeline) -> float | None:
    pulls = [container.pull.pull_seconds for container in job.containers if container.pull is not None]
    known = [seconds for seconds in pulls if seconds is not None]
    return median(known) if known else None


@dataclass(frozen=True)
class WriteBack:
    """``write_rate`` is W in bytes a second, ``background_bytes`` K, ``quiet_seconds`` q."""

    write_rate: float
    background_bytes: float
    quiet_seconds: float

    def wait_seconds(self, image_bytes: float, pull_seconds: float) -> float:
        """From the end of the pull until all is written."""
        rate = self.write_rate
        kept = min(image_bytes, self.background_bytes) / rate
        if pull_seconds <= self.quiet_seconds:
            return image_bytes / rate
        return max(kept, image_bytes / rate - (pull_seconds - self.quiet_seconds))


@dataclass(frozen=True)
class WriteBackFit:
    """The law and how well these jobs follow it; of ``interval`` a bound is None where there is none.

    ``better_p``: the chance of so much less left unexplained than by the pulls alone, were there no wait.
    ``misfit_p``: the chance of so much left unexplained, did the law hold. ``wait_share``: of the makespans, what
    varies by the wait for the volume.
    """

    law: WriteBack
    interval: tuple[float | None, float | None]
    better_p: float
    misfit_p: float
    wait_share: float
    deviation_seconds: float
    count: int


def fit_write_back(points: Sequence[JobPoint]) -> WriteBackFit | None:
    """None of too few jobs or image sizes."""
    points = _thinned(points)
    groups = len({point.group for point in points})
    freedom = len(points) - groups - _PARAMETERS
    if freedom < _PARAMETERS or len({point.image_bytes for point in points}) < LEAST_SIZES:
        return None
    return _Fit(points, freedom).result()


def _thinned(points: Sequence[JobPoint]) -> Sequence[JobPoint]:
    """Of many jobs the means of those of one image on one cluster, and of many of these an even choice."""
    if len(points) <= _MOST_POINTS:
        return points
    cells: dict[Hashable, list[JobPoint]] = defaultdict(list)
    for point in points:
        cells[point.group, point.image_bytes].append(point)
    means = [_mean(cell) for cell in cells.values()]
    return means[:: max(1, math.ceil(len(means) / _MOST_POINTS))]


def _mean(cell: Sequence[JobPoint]) -> JobPoint:
    return replace(
        cell[0],
        makespan_seconds=fmean(point.makespan_seconds for point in cell),
        pulling_seconds=fmean(point.pulling_seconds for point in cell),
        started_seconds=fmean(point.started_seconds for point in cell),
    )


Logarithms = Sequence[float]  # of W, K and q


class _Fit:
    def __init__(self, points: Sequence[JobPoint], freedom: int) -> None:
        self._points = points
        self._freedom = freedom
        # What is asked for ten thousand times.
        self._waits = [(point.after_start, float(point.image_bytes), point.to_start) for point in points]
        members: dict[Hashable, list[int]] = defaultdict(list)
        for place, point in enumerate(points):
            members[point.group].append(place)
        self._members = list(members.values())

    def result(self) -> WriteBackFit:
        best, left = self._best
        law = _law(best)
        alone = self._unexplained([point.after_start for point in self._points])
        better = (alone - left) / _PARAMETERS / (left / self._freedom) if left else math.inf
        return WriteBackFit(
            law=law,
            interval=(self._end(-1), self._end(1)),
            better_p=f_tail(better, _PARAMETERS, self._freedom),
            misfit_p=self._misfit(law),
            wait_share=self._share(law),
            deviation_seconds=math.sqrt(left / self._freedom),
            count=len(self._points),
        )

    @cached_property
    def _best(self) -> tuple[list[float], float]:
        return min((minimise(self._left, start) for start in self._starts()), key=lambda found: found[1])

    def _starts(self) -> Iterator[list[float]]:
        sizes = sorted({point.image_bytes for point in self._points})
        fastest = max(point.image_bytes / max(point.to_start, 0.01) for point in self._points)
        for share in (0.25, 0.5, 1.0, 2.0, 5.0):
            for background in (1.5 * sizes[0], float(sizes[len(sizes) // 2])):
                yield [math.log(share * fastest), math.log(background), math.log(background / fastest)]

    def _left(self, logarithms: Logarithms) -> float:
        if max(map(abs, logarithms)) > 40:  # beyond any rate or size: exp() is not to overflow
            return math.inf
        return self._unexplained(self._residuals(_law(logarithms)))

    def _residuals(self, law: WriteBack) -> list[float]:
        wait = law.wait_seconds
        return [after - wait(size, pull) for after, size, pull in self._waits]

    def _unexplained(self, residuals: Sequence[float]) -> float:
        """The sum of squares about the means of the groups."""
        return sum(_squares([residuals[place] for place in places]) for places in self._members)

    def _end(self, direction: int) -> float | None:
        """Of the interval of W: where the best fit with such a W is worse by more than chance (profile likelihood)."""
        best, least = self._best
        quantile = errors_to_bound(self._freedom)
        limit = least * (1 + quantile * quantile / self._freedom)
        inside, outside, step, near = best[0], best[0], 0.05, [best]
        while True:
            outside, step = outside + direction * step, step * _CALLS
            point, value = self._nearest(outside, near)
            if value > limit:
                break
            if abs(outside - best[0]) > _FARTHEST:
                return None
            inside, near = outside, [best, point]
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            within = self._nearest(middle, near)[1] <= limit
            inside, outside = (middle, outside) if within else (inside, middle)
        return math.exp((inside + outside) / 2) * (1 + LAW_ERROR) ** direction

    def _nearest(self, rate: float, near: Iterable[Logarithms]) -> tuple[list[float], float]:
        """The best with this W, looked for from several others."""

        def left(rest: Sequence[float]) -> float:
            return self._left([rate, *rest])

        point, value = min((minimise(left, start[1:]) for start in near), key=lambda found: found[1])
        return [rate, *point], value

    def _misfit(self, law: WriteBack) -> float:
        """Against the scatter of jobs of one image where there are enough, else for a curve left over."""
        residuals = self._residuals(law)
        groups = [point.group for point in self._points]
        cells = [(point.cache, point.layers, point.image_bytes) for point in self._points]
        tested = lack_of_fit(residuals, groups, cells, _PARAMETERS)
        if tested is not None and tested.pure_freedom >= _LEAST_PURE:
            return tested.p
        return curvature(residuals, groups, [point.image_bytes for point in self._points], _PARAMETERS)

    def _share(self, law: WriteBack) -> float:
        waits = [law.wait_seconds(size, pull) for _, size, pull in self._waits]
        return sum(wait - min(waits) for wait in waits) / sum(point.makespan_seconds for point in self._points)


def _law(logarithms: Logarithms) -> WriteBack:
    return WriteBack(*map(math.exp, logarithms))


def _squares(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values)


def steps(found: Iterable[JobPoint]) -> list[SizeStep]:
    """Between image sizes that are LEAST_STEP_BYTES or more apart, by the medians of their jobs.

    A rate that falls to the volume's from some size on says that the pull itself waits for the volume by then: Linux
    lets so many pages be dirty (vm.dirty_ratio, of free memory) and then makes the writer wait.
    """
    by_size: dict[int, list[JobPoint]] = defaultdict(list)
    for point in found:
        by_size[point.image_bytes].append(point)
    pulls = {
        size: median(seconds)
        for size, group in by_size.items()
        if (seconds := [point.pull_seconds for point in group if point.pull_seconds is not None])
    }
    makespans = {size: median([point.makespan_seconds for point in group]) for size, group in by_size.items()}
    return [
        SizeStep(small, large, _step_rate(small, large, pulls), _step_rate(small, large, makespans))
        for small, large in pairwise(_apart(sorted(by_size)))
    ]


def _apart(sizes: Iterable[int]) -> list[int]:
    """From the smallest on, each the next by which enough bytes are added: the seconds of fewer are those of chance."""
    found: list[int] = []
    for size in sizes:
        if not found or size - found[-1] >= LEAST_STEP_BYTES:
            found.append(size)
    return found


def _step_rate(small: int, large: int, seconds: Mapping[int, float]) -> float | None:
    if small not in seconds or large not in seconds or seconds[large] <= seconds[small]:
        return None
    return (large - small) / (seconds[large] - seconds[small])
