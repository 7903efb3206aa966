"""Stragglers: pods that took far longer to start than the others of their job, and the nodes they ran on."""

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass

from pullstudy.analysis.statistics.quantiles import median, median_deviation
from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline
from pullstudy.pulls.milestone import Moment

# 1.4826 makes the median deviation of normal values their standard deviation.
DEVIATIONS = 3 * 1.4826
# Less than a twentieth of the median is no noticeable wait, however close together the other pods are.
LEAST_SHARE = 0.05
LEAST_PODS = 4


@dataclass(frozen=True)
class Straggler:
    """A pod that started late. Seconds are from the job's start."""

    cluster: str
    size: int | None
    job: str
    image: str | None
    pod: str
    node: str | None
    started_seconds: float
    median_seconds: float

    @property
    def excess_seconds(self) -> float:
        return self.started_seconds - self.median_seconds


@dataclass(frozen=True)
class JobSpread:
    """How much the starts of a job's pods differ, and what the last one cost."""

    cluster: str
    size: int | None
    job: str
    image: str | None
    pods: int
    first_seconds: float
    median_seconds: float
    last_seconds: float
    makespan_seconds: float | None
    stragglers: tuple[Straggler, ...]

    @property
    def cost_seconds(self) -> float:
        """By how much the job would have been sooner if every pod had started by the median."""
        return self.last_seconds - self.median_seconds


@dataclass(frozen=True)
class NodeSlowness:
    """One node over all its jobs: its excess over each job's median start."""

    cluster: str
    size: int | None
    node: str
    pods: int
    straggled: int
    median_excess_seconds: float
    worst_excess_seconds: float


def pod_starts(job: JobTimeline) -> dict[str, tuple[ContainerTimeline, float]]:
    """By pod: its last container to start, and the seconds from the job's start until then."""
    start = job.start
    if start is None:
        return {}
    seconds: dict[str, tuple[ContainerTimeline, float]] = {}
    for container in job.containers:
        time = container.times.get(Moment.STARTED)
        if time is not None:
            elapsed = time.seconds_since(start[1])
            if container.pod not in seconds or elapsed > seconds[container.pod][1]:
                seconds[container.pod] = (container, elapsed)
    return seconds


def job_spread(job: JobTimeline) -> JobSpread | None:
    """None where fewer than LEAST_PODS pods are known to have started."""
    started = pod_starts(job)
    if len(started) < LEAST_PODS:
        return None
    values = [elapsed for _, elapsed in started.values()]
    middle = median(values)
    limit = middle + max(DEVIATIONS * median_deviation(values), LEAST_SHARE * middle)
    late = [pair for pair in started.values() if pair[1] > limit]
    return JobSpread(
        cluster=job.cluster,
        size=job.size,
        job=job.job,
        image=job.image,
        pods=len(started),
        first_seconds=min(values),
        median_seconds=middle,
        last_seconds=max(values),
        makespan_seconds=job.makespan_seconds,
        stragglers=tuple(
            Straggler(job.cluster, job.size, job.job, job.image, container.pod, container.node, elapsed, middle)
            for container, elapsed in sorted(late, key=lambda pair: -pair[1])
        ),
    )


class Stragglers:
    """The spreads of jobs and the slowness of their nodes, job by job."""

    def __init__(self) -> None:
        self.spreads: list[JobSpread] = []  # of each job with LEAST_PODS pods or more whose start is known
        self._excesses: dict[tuple[str, int | None, str], array[float]] = defaultdict(lambda: array("d"))
        self._straggled: Counter[tuple[str, int | None, str]] = Counter()

    def add(self, job: JobTimeline) -> None:
        spread = job_spread(job)
        if spread is None:
            return
        self.spreads.append(spread)
        for container, elapsed in pod_starts(job).values():
            excess = elapsed - spread.median_seconds
            self._excesses[job.cluster, job.size, container.node or "unknown"].append(excess)
        for straggler in spread.stragglers:
            self._straggled[job.cluster, job.size, straggler.node or "unknown"] += 1

    def slowest_nodes(self) -> list[NodeSlowness]:
        """Every node that ran a pod, the slowest first, by the median of its excess."""
        nodes = [
            NodeSlowness(*key, len(values), self._straggled[key], median(values), max(values))
            for key, values in self._excesses.items()
        ]
        return sorted(nodes, key=lambda node: (-node.straggled, -node.median_excess_seconds, node.cluster, node.node))
