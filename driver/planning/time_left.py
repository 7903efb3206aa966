"""How long a sweep will still take: its plan, scaled by what was seen of it. Pure: every time is given, in seconds."""

from collections.abc import Iterable
from statistics import fmean

import msgspec

from driver.planning.job_estimate import estimated_job_seconds, job_pace
from driver.planning.plan import Overhead, Plan
from driver.planning.study import Study
from pullstudy.store.embedded.ledger import JobRow


class ClusterLeft(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster that is still to be made, with its jobs' planned seconds in the order in which they run."""

    overhead: Overhead
    jobs: tuple[float, ...]


class TimeLeft:
    """Of the clusters in their order. Told of each step as it comes; ``now`` is any clock that never goes back.

    A job takes what the plan says, times what the jobs so far took against it: so images that the plan does not know,
    and a simulator's own time, are of no concern after the first. Clusters take as long to make and delete as those so
    far, or else what the plan says.
    """

    def __init__(self, clusters: Iterable[ClusterLeft], scale: float | None) -> None:
        """``scale`` is of the time before a job was seen; None: nothing is said until then."""
        self._clusters = list(clusters)
        self._scale = scale
        self._took = self._planned = 0.0  # of the jobs seen
        self._made: list[float] = []
        self._deleted: list[float] = []
        self._since: float | None = None  # the step at work began
        self._up = False
        self._jobs: list[float] = []  # left on this cluster

    def begin_cluster(self, now: float) -> None:
        self._jobs = list(self._clusters[0].jobs)
        self._since, self._up = now, False

    def cluster_made(self, now: float) -> None:
        self._made.append(self._running(now))
        self._since, self._up = now, True

    def job_ended(self, now: float) -> None:
        self._planned += self._jobs.pop(0)
        self._took += self._running(now)
        self._since = now

    def cluster_ended(self, now: float) -> None:
        """It is taken down; a cluster whose last jobs were not run is over all the same."""
        if not self._jobs:
            self._deleted.append(self._running(now))
        self._clusters.pop(0)
        self._since, self._jobs = None, []

    def of_cluster(self, now: float) -> float | None:
        """Until the one at work is taken down. None where nothing tells."""
        scale = self._took / self._planned if self._planned else self._scale
        if scale is None or self._since is None:
            return None
        overhead, running = self._clusters[0].overhead, self._running(now)
        delete = _usual(overhead.delete_seconds, self._deleted)
        if not self._up:
            make = _usual(overhead.make_seconds, self._made)
            return max(0.0, make - running) + scale * sum(self._jobs) + delete
        if not self._jobs:
            return max(0.0, delete - running)
        return max(0.0, scale * self._jobs[0] - running) + scale * sum(self._jobs[1:]) + delete

    def of_sweep(self, now: float) -> float | None:
        """Until the last cluster is taken down. None where nothing tells."""
        this = self.of_cluster(now)
        scale = self._took / self._planned if self._planned else self._scale
        if this is None or scale is None:
            return None
        return this + sum(
            _usual(each.overhead.make_seconds, self._made)
            + scale * sum(each.jobs)
            + _usual(each.overhead.delete_seconds, self._deleted)
            for each in self._clusters[1:]
        )

    def _running(self, now: float) -> float:
        return 0.0 if self._since is None else now - self._since


def _usual(planned: float, seen: list[float]) -> float:
    return fmean(seen) if seen else planned


def time_left(study: Study, plan: Plan, jobs: Iterable[JobRow]) -> TimeLeft:
    """Of these jobs, in their order; ``plan`` is what is left of the study."""
    pace = job_pace(study, plan.provider)
    seconds: dict[int, list[float]] = {}
    for job in jobs:
        seconds.setdefault(job.size, []).append(estimated_job_seconds(job.image, job.size, pace))
    overheads = {size.size: size.overhead for size in plan.sizes}
    clusters = [ClusterLeft(overhead=overheads[size], jobs=tuple(each)) for size, each in seconds.items()]
    return TimeLeft(clusters, _own_scale(study, plan.provider))


def _own_scale(study: Study, provider: str) -> float | None:
    """Seconds of this machine a second of the plan: a simulator's time is its own, unless its speed is set."""
    if provider != "sim":
        return 1.0
    return None if study.sim.speed == "max" else 1 / float(study.sim.speed)
