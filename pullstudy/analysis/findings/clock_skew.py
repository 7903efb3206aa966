"""How far each node's clock is from the control plane's, bounded by what must come before what.

A pod is scheduled (control plane's clock) before its node says Pulling (node's clock), so the node's offset is at most
the least difference of the two that was seen. Its container starts before the job completes, so it is at least the
greatest difference of those. The offset is between them; the times' resolution widens the bounds.
The shortest delay from Scheduled to the node's first event is about the same on all nodes, so what a node has more or
less of it than the median node is its clock's offset from theirs, to within a noise: the jitter of that delay, and the
times' resolution. A shortest delay of few pods is no shortest delay, and such nodes are not compared.
"""

from collections import defaultdict
from dataclasses import dataclass

from pullstudy.analysis.statistics.quantiles import median, median_deviation
from pullstudy.analysis.timelines.timeline import JobTimeline, MomentTimes
from pullstudy.pulls.milestone import CONTROL_PLANE, Moment

LEAST_DELAYS = 5  # pods of a node
# Nodes in step differ by this much in their shortest delay alone: seen up to 0.08 s in real logs.
_LEAST_NOISE = 0.1
_DEVIATIONS = 5 * 1.4826  # robust standard deviations: of many nodes one in step is hardly ever beyond
_OF_THE_KUBELET = (Moment.PULLING, Moment.PULLED, Moment.CREATED, Moment.STARTED)


@dataclass(frozen=True)
class NodeClock:
    """Seconds by which the node's clock is ahead of the control plane's (behind, where negative)."""

    cluster: str
    node: str
    at_least_seconds: float | None
    at_most_seconds: float | None
    against_others_seconds: float | None  # compared with the median node of the cluster; None of less than LEAST_DELAYS
    noise_seconds: float | None  # by how much nodes in step differ there
    observations: int

    @property
    def certainly_off(self) -> bool:
        """Whether no clock in step with the control plane's can have written these times."""
        too_low = self.at_most_seconds is not None and self.at_most_seconds < 0
        return too_low or (self.at_least_seconds is not None and self.at_least_seconds > 0)

    @property
    def beyond_noise(self) -> bool:
        """Whether it differs from the others' by more than jitter and resolution explain."""
        offset, noise = self.against_others_seconds, self.noise_seconds
        return offset is not None and noise is not None and abs(offset) > noise


@dataclass
class _Bounds:
    upper: float | None = None  # the least that was seen
    lower: float | None = None  # the greatest
    observations: int = 0
    delays: int = 0
    resolution_seconds: float = 0.0  # the coarsest of the delays

    def at_most(self, seconds: float, resolution_seconds: float) -> None:
        self.upper = seconds if self.upper is None else min(self.upper, seconds)
        self.resolution_seconds = max(self.resolution_seconds, resolution_seconds)
        self.observations += 1
        self.delays += 1

    def at_least(self, seconds: float) -> None:
        self.lower = seconds if self.lower is None else max(self.lower, seconds)
        self.observations += 1


class ClockBounds:
    """What the pods of each node tell of its clock, job by job."""

    def __init__(self) -> None:
        self._bounds: dict[tuple[str, str], _Bounds] = defaultdict(_Bounds)

    def add(self, job: JobTimeline) -> None:
        for container in job.containers:
            self._observe(job.cluster, container.times)

    def clocks(self) -> list[NodeClock]:
        """One a node, by cluster and name."""
        middles = self._middles()
        return [
            NodeClock(
                cluster=cluster,
                node=node,
                at_least_seconds=found.lower,
                at_most_seconds=found.upper,
                against_others_seconds=_least_delay(found) - middles[cluster].seconds if _comparable(found) else None,
                noise_seconds=middles[cluster].noise_seconds if _comparable(found) else None,
                observations=found.observations,
            )
            for (cluster, node), found in sorted(self._bounds.items())
        ]

    def _observe(self, cluster: str, times: MomentTimes) -> None:
        scheduled, completed = times.get(Moment.SCHEDULED), times.get(Moment.JOB_COMPLETED)
        known = map(times.get, _OF_THE_KUBELET)
        words = [time for time in known if time is not None and time.clock not in (CONTROL_PLANE, "unknown")]
        if not words:
            return
        first, last = words[0], words[-1]
        if scheduled is not None:
            # A time cut to the second may be up to a second later.
            seconds = first.seconds_since(scheduled) + first.resolution_seconds
            resolution = max(first.resolution_seconds, scheduled.resolution_seconds)
            self._bounds[cluster, first.clock].at_most(seconds, resolution)
        if completed is not None:
            self._bounds[cluster, last.clock].at_least(last.seconds_since(completed) - completed.resolution_seconds)

    def _middles(self) -> dict[str, "_Middle"]:
        """Of each cluster that has a node to compare."""
        of_cluster: dict[str, list[_Bounds]] = defaultdict(list)
        for (cluster, _), found in self._bounds.items():
            if _comparable(found):
                of_cluster[cluster].append(found)
        return {cluster: _middle(found) for cluster, found in of_cluster.items()}


@dataclass(frozen=True)
class _Middle:
    """The shortest delay of a cluster's median node, and how much nodes in step differ in theirs."""

    seconds: float
    noise_seconds: float


def _comparable(found: _Bounds) -> bool:
    return found.delays >= LEAST_DELAYS


def _least_delay(found: _Bounds) -> float:
    return found.upper if found.upper is not None else 0.0


def _middle(nodes: list[_Bounds]) -> _Middle:
    delays = [_least_delay(found) for found in nodes]
    coarsest = max(found.resolution_seconds for found in nodes)
    return _Middle(median(delays), max(_LEAST_NOISE, coarsest, _DEVIATIONS * median_deviation(delays)))
