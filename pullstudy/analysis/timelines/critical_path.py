"""The critical path of a job: the container that finished last, and the segments that led there.

A job is over when its last pod is, so its makespan is that pod's phases and nothing else. Its last container is pulled
after the pod's init containers have ended, so that their pulls and runs lie between scheduled and pulling.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pullstudy.analysis.timelines.timeline import (
    LAST_WITNESSES,
    MOMENTS,
    ContainerTimeline,
    JobTimeline,
    MomentTime,
    latest,
)
from pullstudy.pulls.milestone import Moment


@dataclass(frozen=True, slots=True)
class PathSegment:
    """Time between two moments that follow each other among those that are known: never below zero."""

    begin: Moment
    end: Moment
    seconds: float
    resolution_seconds: float  # of the coarser of the two times
    moved_seconds: float = 0.0  # by which its end was moved to come after its beginning

    @property
    def name(self) -> str:
        return f"{self.begin}_to_{self.end}"


Path = tuple[PathSegment, ...]


def critical_path(job: JobTimeline) -> Path:
    """The segments of the critical container from the job's start to its end; they add up to the makespan.

    They cover what is known: where the moments between two are unknown, there is one longer segment. A moment that its
    time puts before the one that it follows, or after the job's end, is moved there: no segment is below zero, and what
    was moved is said of the segment. None where the end is before the start.
    """
    critical, end = job.critical_container, job.end
    return _path(job, critical, end) if critical is not None and end is not None else ()


def paths_until(job: JobTimeline, moments: Iterable[Moment]) -> dict[Moment, Path]:
    """The same up to each of these moments: of the container that came to it last. The latest moment comes first.

    Paths that begin alike share their segments: they are kept for every job.
    """
    found: dict[Moment, Path] = {}
    of_container: dict[int, Path] = {}
    for moment in moments:
        last = _last_to_reach(job, moment)
        if last is not None:
            known = _beginning(of_container.get(id(last), ()), moment)
            found[moment] = known or _path(job, last, (moment, last.times[moment]))
            of_container.setdefault(id(last), found[moment])
    return found


def _last_to_reach(job: JobTimeline, moment: Moment) -> ContainerTimeline | None:
    if moment is Moment.JOB_COMPLETED:
        return job.critical_container if moment in job.times else None
    able = [each for each in job.containers if moment in each.times]
    return latest(able, (moment, *LAST_WITNESSES))


def _beginning(path: Path, moment: Moment) -> Path:
    ends = [segment.end for segment in path]
    return path[: ends.index(moment) + 1] if moment in ends else ()


def _path(job: JobTimeline, container: ContainerTimeline, end: MomentTime) -> Path:
    start = job.start
    if start is None or end[1].at < start[1].at:
        return ()
    # The job's start can be another pod's moment: where its creation is unknown, its first pod's is taken.
    inner = [
        (moment, container.times[moment])
        for moment in MOMENTS
        if moment in container.times and _between(moment, start[0], end[0])
    ]
    segments = []
    before, reached = start, start[1].at
    for moment, time in (*inner, end):
        at = min(max(time.at, reached), end[1].at)
        moved = abs((time.at - at).total_seconds())
        resolution = max(before[1].resolution_seconds, time.resolution_seconds)
        segments.append(PathSegment(before[0], moment, (at - reached).total_seconds(), resolution, moved or 0.0))
        before, reached = (moment, time), at
    return tuple(segments)


def _between(moment: Moment, start: Moment, end: Moment) -> bool:
    return MOMENTS.index(start) < MOMENTS.index(moment) < MOMENTS.index(end)
