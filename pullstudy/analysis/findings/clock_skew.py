"""How far each node's clock is from the control plane's, bounded by what must come before what.

A pod is scheduled (control plane's clock) before its node says Pulling (node's clock), so the node's offset is at most
the least difference of the two that was seen. Its container starts before the job completes, so it is at least the
greatest difference of those. The offset is between them; the times' resolution widens the bounds.
The shortest delay from Scheduled to the node's first event is the same on all nodes, so what a node has more or less
of it than the median node is its clock's offset from theirs, to within the jitter of that delay.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.timelines.timeline import JobTimeline, Timestamp
from pullstudy.pulls.milestone import CONTROL_PLANE, Moment


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
    upper: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)


def node_clocks(jobs: Iterable[JobTimeline]) -> list[NodeClock]:
    """One a node, by cluster and name."""
    bounds: dict[tuple[str, str], _Bounds] = defaultdict(_Bounds)
    for job in jobs:
        for container in job.containers:
            _observe(bounds, job.cluster, container.times)
    middle = _median_delays(bounds)
    return [
        NodeClock(
            cluster=cluster,
            node=node,
            at_least_seconds=max(found.lower, default=None),
            at_most_seconds=min(found.upper, default=None),
            against_others_seconds=min(found.upper) - middle[cluster] if found.upper else None,
            observations=len(found.upper) + len(found.lower),
        )
        for (cluster, node), found in sorted(bounds.items())
    ]


def _observe(bounds: dict[tuple[str, str], _Bounds], cluster: str, times: dict[Moment, Timestamp]) -> None:
    scheduled, completed = times.get(Moment.SCHEDULED), times.get(Moment.JOB_COMPLETED)
    words = [times[m] for m in (Moment.PULLING, Moment.PULLED, Moment.CREATED, Moment.STARTED) if m in times]
    words = [time for time in words if time.clock not in (CONTROL_PLANE, "unknown")]
    if not words:
        return
    first, last = words[0], words[-1]
    if scheduled is not None:
        # A time cut to the second may be up to a second later.
        bounds[cluster, first.clock].upper.append(first.seconds_since(scheduled) + first.resolution_seconds)
    if completed is not None:
        bounds[cluster, last.clock].lower.append(last.seconds_since(completed) - completed.resolution_seconds)


def _median_delays(bounds: dict[tuple[str, str], _Bounds]) -> dict[str, float]:
    least: dict[str, list[float]] = defaultdict(list)
    for (cluster, _), found in bounds.items():
        if found.upper:
            least[cluster].append(min(found.upper))
    return {cluster: median(values) for cluster, values in least.items()}
