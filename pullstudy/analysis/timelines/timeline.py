"""The moments of a job and of its containers, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec

from pullstudy.pulls.milestone import Moment, Witness
from pullstudy.pulls.record import Outcome, PullRecord

MOMENTS: tuple[Moment, ...] = tuple(Moment)
JOB_MOMENTS = (Moment.JOB_CREATED, Moment.JOB_COMPLETED)
POD_MOMENTS = tuple(moment for moment in MOMENTS if moment not in JOB_MOMENTS)
LAST_WITNESSES = (Moment.FINISHED, Moment.STARTED, Moment.PULLED)


class Timestamp(msgspec.Struct, frozen=True, gc=False):
    """When something happened, with the resolution of the time, its source, and the clock it is by."""

    at: datetime
    resolution_seconds: float
    source: Witness
    clock: str

    def seconds_since(self, earlier: "Timestamp") -> float:
        return (self.at - earlier.at).total_seconds()


MomentTimes = dict[Moment, Timestamp]
MomentTime = tuple[Moment, Timestamp]


class ContainerTimeline(msgspec.Struct, frozen=True, dict=True):  # dict: where a cached property keeps its value
    """One container of one pod; ``times`` has the pod's moments too, and the job's."""

    pod: str
    container: str | None
    node: str | None
    image: str | None
    cache: str
    times: MomentTimes
    pulls: tuple[PullRecord, ...] = ()  # all attempts, in order of time
    image_inferred: bool = False  # not recorded: the one that the container has in the job's other pods

    @cached_property
    def pull(self) -> PullRecord | None:
        """The first that made the image present."""
        return next((pull for pull in self.pulls if pull.outcome in (Outcome.PULLED, Outcome.CACHED)), None)

    @property
    def first(self) -> MomentTime | None:
        """Its first moment that is known, of the pod's and the container's own."""
        return next(((moment, self.times[moment]) for moment in POD_MOMENTS if moment in self.times), None)

    @property
    def last(self) -> MomentTime | None:
        """Its last."""
        return next(((moment, self.times[moment]) for moment in reversed(POD_MOMENTS) if moment in self.times), None)

    @property
    def outcome(self) -> Outcome | None:
        return self.pull.outcome if self.pull else None


@dataclass(frozen=True)
class JobTimeline:
    """One job at one size (what a job is: separation), with its containers. ``times`` has the job's own moments."""

    cluster: str
    run: str | None
    size: int | None
    namespace: str | None
    job: str
    number: int  # among the jobs of that name on that cluster, in order of time, from 1
    image: str | None  # None where its containers have several
    images: tuple[str, ...]
    repeat: int | None
    times: MomentTimes
    containers: tuple[ContainerTimeline, ...] = ()
    deleted: Timestamp | None = None  # by the ledger: the job and its pods were gone
    failed: bool = False  # by the ledger: it ended without having pulled everywhere

    @cached_property
    def start(self) -> MomentTime | None:
        """The job's first known moment: its creation, or the first moment of one of its pods."""
        if Moment.JOB_CREATED in self.times:
            return Moment.JOB_CREATED, self.times[Moment.JOB_CREATED]
        firsts = [first for container in self.containers if (first := container.first)]
        return min(firsts, key=lambda pair: pair[1].at, default=None)

    @cached_property
    def end(self) -> MomentTime | None:
        """The job's completion, or where that is unknown the last moment of one of its pods."""
        if Moment.JOB_COMPLETED in self.times:
            return Moment.JOB_COMPLETED, self.times[Moment.JOB_COMPLETED]
        lasts = [last for container in self.containers if (last := container.last)]
        return max(lasts, key=lambda pair: pair[1].at, default=None)

    @cached_property
    def critical_container(self) -> ContainerTimeline | None:
        """The one that finished last; None for a job without containers.

        Pod status has the end in whole seconds, so ties are decided by when they started, then by pulled.
        A moment counts only where most containers have it: else the few that have one would seem the last.
        """
        counting = [
            moment
            for moment in LAST_WITNESSES
            if 2 * sum(moment in container.times for container in self.containers) > len(self.containers)
        ]
        return latest(self.containers, counting)

    @property
    def makespan_seconds(self) -> float | None:
        start, end = self.start, self.end
        return end[1].seconds_since(start[1]) if start and end else None

    @cached_property
    def cache(self) -> str:
        """cold, partial or warm where that holds of every node; else mixed, or unknown."""
        states = {container.cache for container in self.containers}
        return states.pop() if len(states) == 1 else ("mixed" if states else "unknown")


def latest(containers: Sequence[ContainerTimeline], moments: Iterable[Moment]) -> ContainerTimeline | None:
    """The one that came last to the first of these moments; of equals, the one that came last to the next."""
    for moment in moments:
        last = max((each.times[moment].at for each in containers if moment in each.times), default=None)
        if last is not None:
            containers = [each for each in containers if moment in each.times and each.times[moment].at == last]
    return containers[0] if containers else None
