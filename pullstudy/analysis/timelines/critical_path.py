"""The critical path of a job: the container that finished last, and the segments that led there.

A job is over when its last pod is, so its makespan is that pod's phases and nothing else. Its last container is pulled
after the pod's init containers have ended, so that their pulls and runs lie between scheduled and pulling.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pullstudy.analysis.timelines.timeline import MOMENTS, ContainerTimeline, JobTimeline, Timestamp
from pullstudy.pulls.milestone import Moment

_LAST_WITNESSES = (Moment.FINISHED, Moment.STARTED, Moment.PULLED)


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


def critical_container(job: JobTimeline) -> ContainerTimeline | None:
    """The one that finished last; None for a job without containers.

    Pod status has the end in whole seconds, so ties are decided by when they started, then by pulled.
    A moment counts only where most containers have it: else the few that have one would seem the last.
    """
    counting = [
        moment
        for moment in _LAST_WITNESSES
        if 2 * sum(moment in container.times for container in job.containers) > len(job.containers)
    ]
    return _latest(job.containers, counting)


def _latest(containers: Sequence[ContainerTimeline], moments: Iterable[Moment]) -> ContainerTimeline | None:
    """The one that came last to the first of these moments; of equals, the one that came last to the next."""
    for moment in moments:
        last = max((each.times[moment].at for each in containers if moment in each.times), default=None)
        if last is not None:
            containers = [each for each in containers if moment in each.times and each.times[moment].at == last]
    return containers[0] if containers else None


def critical_path(job: JobTimeline) -> Path:
    """The segments of the critical container from the job's start to its end; they add up to the makespan.

    They cover what is known: where the moments between two are unknown, there is one longer segment. A moment that its
    time puts before the one that it follows, or after the job's end, is moved there: no segment is below zero, and what
    was moved is said of the segment. None where the end is before the start.
    """
    critical, end = critical_container(job), job.end
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
        return critical_container(job) if moment in job.times else None
    able = [each for each in job.containers if moment in each.times]
    return _latest(able, (moment, *_LAST_WITNESSES))


def _beginning(path: Path, moment: Moment) -> Path:
    ends = [segment.end for segment in path]
    return path[: ends.index(moment) + 1] if moment in ends else ()


def _path(job: JobTimeline, container: ContainerTimeline, end: tuple[Moment, Timestamp]) -> Path:
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
