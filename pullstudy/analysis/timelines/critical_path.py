"""The critical path of a job: the container that finished last, and the segments that led there.

A job is over when its last pod is, so its makespan is that pod's phases and nothing else.
"""

from dataclasses import dataclass
from itertools import pairwise

from pullstudy.analysis.timelines.timeline import MOMENTS, ContainerTimeline, JobTimeline, Timestamp
from pullstudy.pulls.milestone import Moment

_LAST_WITNESSES = (Moment.FINISHED, Moment.STARTED, Moment.PULLED)


@dataclass(frozen=True)
class PathSegment:
    """Time between two moments that follow each other among those that are known."""

    begin: Moment
    end: Moment
    seconds: float
    resolution_seconds: float  # of the coarser of the two times

    @property
    def name(self) -> str:
        return f"{self.begin}_to_{self.end}"


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
    return max(job.containers, key=lambda container: _lateness(container, counting), default=None)


def _lateness(container: ContainerTimeline, counting: list[Moment]) -> tuple[float, ...]:
    return tuple(
        container.times[moment].at.timestamp() if moment in container.times else float("-inf") for moment in counting
    )


def critical_path(job: JobTimeline) -> list[PathSegment]:
    """The segments of the critical container from the job's start to its end; they add up to the makespan.

    They cover what is known: where the moments between two are unknown, there is one longer segment.
    """
    critical, start, end = critical_container(job), job.start, job.end
    if critical is None or start is None or end is None:
        return []
    times: list[tuple[Moment, Timestamp]] = [
        (moment, critical.times[moment]) for moment in MOMENTS if moment in critical.times
    ]
    # The job's start can be another pod's moment: where its creation is unknown, its first pod's is taken.
    inner = [pair for pair in times if _between(pair[0], start[0], end[0])]
    chain = [start, *inner, end]
    return [_segment(earlier, later) for earlier, later in pairwise(chain)]


def _segment(earlier: tuple[Moment, Timestamp], later: tuple[Moment, Timestamp]) -> PathSegment:
    resolution = max(earlier[1].resolution_seconds, later[1].resolution_seconds)
    return PathSegment(earlier[0], later[0], later[1].seconds_since(earlier[1]), resolution)


def _between(moment: Moment, start: Moment, end: Moment) -> bool:
    return MOMENTS.index(start) < MOMENTS.index(moment) < MOMENTS.index(end)
