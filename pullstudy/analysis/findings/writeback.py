"""Does a disk's write rate set how long a job takes? A line through makespans over unpacked bytes.

An image's bytes are dirty pages in memory when the kubelet says Pulled, and the node's volume still writes them back;
whatever needs that volume next waits. If so, makespan = a + bytes / rate with one rate for all images, a better line
than the pulls themselves make.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.statistics.regression import FittedLine, fit
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome


@dataclass(frozen=True)
class JobPoint:
    """One job: its image's layers and unpacked bytes, its makespan, the part before the last start, its median pull."""

    cache: str
    size: int | None
    layers: int
    image_bytes: int
    makespan_seconds: float
    started_seconds: float
    pull_seconds: float | None


@dataclass(frozen=True)
class SizeStep:
    """From one image size to the next: at how many bytes a second further bytes came. None where it took no longer."""

    from_bytes: int
    to_bytes: int
    pull_rate: float | None
    makespan_rate: float | None


@dataclass(frozen=True)
class RateFit:
    """seconds = overhead + bytes / rate. Rates are in bytes per second; bounds None where unbounded."""

    overhead_seconds: float
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    r_squared: float | None
    count: int


def point_of(job: JobTimeline) -> JobPoint | None:
    """None where it did not pull on every node, or start, end or the image's size is unknown."""
    shape = study_shape(parse_image(job.image).tag) if job.image else None
    start, makespan = job.start, job.makespan_seconds
    starts = [container.times[Moment.STARTED] for container in job.containers if Moment.STARTED in container.times]
    if shape is None or start is None or makespan is None or not starts or Moment.JOB_COMPLETED not in job.times:
        return None
    if job.failed or any(container.outcome is Outcome.CACHED for container in job.containers):
        return None
    started = max(time.seconds_since(start[1]) for time in starts)
    return JobPoint(job.cache, job.size, *shape, makespan, started, _median_pull(job))


def _median_pull(job: JobTimeline) -> float | None:
    pulls = [container.pull.pull_seconds for container in job.containers if container.pull is not None]
    known = [seconds for seconds in pulls if seconds is not None]
    return median(known) if known else None


def fit_makespan(found: Iterable[JobPoint]) -> RateFit | None:
    found = list(found)
    return _rate(fit([point.image_bytes for point in found], [point.makespan_seconds for point in found]))


def fit_started(found: Iterable[JobPoint]) -> RateFit | None:
    """The same line for the time until the last container started: what the pulls alone would make."""
    found = list(found)
    return _rate(fit([point.image_bytes for point in found], [point.started_seconds for point in found]))


def steps(found: Iterable[JobPoint]) -> list[SizeStep]:
    """Between neighbouring image sizes, by the medians of their jobs.

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
        for small, large in pairwise(sorted(by_size))
    ]


def _step_rate(small: int, large: int, seconds: Mapping[int, float]) -> float | None:
    if small not in seconds or large not in seconds or seconds[large] <= seconds[small]:
        return None
    return (large - small) / (seconds[large] - seconds[small])


def _rate(line: FittedLine | None) -> RateFit | None:
    if line is None:
        return None
    return RateFit(
        overhead_seconds=line.intercept,
        rate=_inverse(line.slope),
        rate_low=_inverse(line.slope_high),
        rate_high=_inverse(line.slope_low),
        r_squared=line.r_squared,
        count=line.count,
    )


def _inverse(seconds_per_byte: float | None) -> float | None:
    return 1 / seconds_per_byte if seconds_per_byte is not None and seconds_per_byte > 0 else None
