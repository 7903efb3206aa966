"""Does a disk's write rate set how long a job takes? A line through makespans over unpacked bytes.

An image's bytes are dirty pages in memory when the kubelet says Pulled, and the node's volume still writes them back;
whatever needs that volume next waits. If so, makespan = a + bytes / rate with one rate for all images, a better line
than the pulls themselves make.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.regression import Line, fit
from analysis.timeline import JobTimeline
from pulls.image import parse_image, study_shape
from pulls.milestone import Moment


@dataclass(frozen=True)
class Point:
    """One job: its image's layers and unpacked bytes, its makespan, and how much of it came before the last start."""

    size: int | None
    layers: int
    image_bytes: int
    makespan_seconds: float
    started_seconds: float


@dataclass(frozen=True)
class RateFit:
    """seconds = overhead + bytes / rate. Rates are in bytes per second; bounds None where unbounded."""

    overhead_seconds: float
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    r_squared: float | None
    count: int


def points(jobs: Iterable[JobTimeline]) -> list[Point]:
    """Of the jobs of which start, end and size of the image are known."""
    return [point for point in map(_point, jobs) if point is not None]


def _point(job: JobTimeline) -> Point | None:
    shape = study_shape(parse_image(job.image).tag) if job.image else None
    start, makespan = job.start, job.makespan_seconds
    starts = [container.marks[Moment.STARTED] for container in job.containers if Moment.STARTED in container.marks]
    if shape is None or start is None or makespan is None or not starts or Moment.JOB_COMPLETED not in job.marks:
        return None
    return Point(job.size, *shape, makespan, max(mark.seconds_since(start[1]) for mark in starts))


def fit_makespan(found: Iterable[Point]) -> RateFit | None:
    found = list(found)
    return _rate(fit([point.image_bytes for point in found], [point.makespan_seconds for point in found]))


def fit_started(found: Iterable[Point]) -> RateFit | None:
    """The same line for the time until the last container started: what the pulls alone would make."""
    found = list(found)
    return _rate(fit([point.image_bytes for point in found], [point.started_seconds for point in found]))


def _rate(line: Line | None) -> RateFit | None:
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
