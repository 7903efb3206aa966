"""How far each node's clock is from the control plane's, bounded by what must come before what.

A pod is scheduled (control plane's clock) before its node says Pulling (node's clock), so the node's offset is at most
the least difference of the two that was seen. Its container starts before the job completes, so it is at least the
greatest difference of those. The offset is between them; the times' resolution widens the bounds.
The shortest delay from Scheduled to the node's first event is the same on all nodes, so what a node has more or less
of it than the median node is its clock's offset from theirs, to within the jitter of that delay.
"""

from collections import defaultdict
from dataclasses import dataclass

from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.timelines.timeline import JobTimeline, MomentTimes
from pullstudy.pulls.milestone import CONTROL_PLANE, Moment

_OF_THE_KUBELET = (Moment.PULLING, Moment.PULLED, Moment.CREATED, Moment.STARTED)


@dataclass(frozen=True)
class NodeClock:
    """Seconds by which the node's clock is ahead of the control plane's (behind, where negative)."""

    cluster: str
    node: str
    at_least_seconds: float | None
    at_most_seconds: float | None
    against_others_seconds: float | None  # compared with the median node of the cluster
    observations: int

    @property
    def certainly_off(self) -> bool:
        """Whether no clock in step with the control plane's can have written these times."""
        too_low = self.at_most_seconds is not None and self.at_most_seconds < 0
        return too_low or (self.at_least_seconds is not None and self.at_least_seconds > 0)


@dataclass
class _Bounds:
    upper: float | None = None  # the least that was seen
    lower: float | None = None  # the greatest
    observations: int = 0

    def at_most(self, seconds: float) -> None:
        self.upper = seconds if self.upper is None else min(self.upper, seconds)
        self.observations += 1

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
        middle = self._median_delays()
        return [
            NodeClock(
                cluster=cluster,
                node=node,
                at_least_seconds=found.lower,
                at_most_seconds=found.upper,
                against_others_seconds=found.upper - middle[cluster] if found.upper is not None else None,
                observations=found.observations,
            )
            for (cluster, node), found in sorted(self._bounds.items())
        ]

    def _observe(self, cluster: str, times: MomentTimes) -> None:
        scheduled, completed = times.get(Moment.SCHEDULED), times.get(Moment.JOB_COMPLETED)
        words = [times[moment] for moment in _OF_THE_KUBELET if moment in times]
        words = [time for time in words if time.clock not in (CONTROL_PLANE, "unknown")]
        if not words:
            return
        first, last = words[0], words[-1]
        if scheduled is not None:
            # A time cut to the second may be up to a second later.
            seconds = first.seconds_since(scheduled) + first.resolution_seconds
            self._bounds[cluster, first.clock].at_most(seconds)
        if completed is not None:
            self._bounds[cluster, last.clock].at_least(last.seconds_since(completed) - completed.resolution_seconds)

    def _median_delays(self) -> dict[str, float]:
        least: dict[str, list[float]] = defaultdict(list)
        for (cluster, _), found in self._bounds.items():
            if found.upper is not None:
                least[cluster].append(found.upper)
        return {cluster: median(values) for cluster, values in least.items()}
