"""What is known of a container only from its job: node sharing, shared pulls, start rank, critical container."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome


@dataclass(frozen=True)
class JobOverview:
    """What is known of a job's containers only by looking at all of them."""

    job: JobTimeline
    pods: int
    on_node: Counter[str | None]  # pods by node
    critical: ContainerTimeline | None
    shared_pulls: frozenset[tuple[str, str | None]]

    def start_rank(self, container: ContainerTimeline) -> int | None:
        """1 for the first container of the job to start; None where its start is unknown."""
        return self._ranks.get((container.pod, container.container))

    @cached_property
    def _ranks(self) -> dict[tuple[str, str | None], int]:
        started = [container for container in self.job.containers if Moment.STARTED in container.times]
        started.sort(key=lambda container: container.times[Moment.STARTED].at)
        return {(container.pod, container.container): rank for rank, container in enumerate(started, 1)}

    def shares_pull(self, container: ContainerTimeline) -> bool:
        """Whether its pull began while another's of the same image was under way on its node: one download for both."""
        return (container.pod, container.container) in self.shared_pulls


def overview_of(job: JobTimeline) -> JobOverview:
    pods = {container.pod: container.node for container in job.containers}
    return JobOverview(
        job=job,
        pods=len(pods),
        on_node=Counter(pods.values()),
        critical=job.critical_container,
        shared_pulls=frozenset(_shared_pulls(job)),
    )


def _shared_pulls(job: JobTimeline) -> list[tuple[str, str | None]]:
    pulling = [
        container
        for container in job.containers
        if container.outcome is Outcome.PULLED
        and container.node is not None
        and Moment.PULLING in container.times
        and Moment.PULLED in container.times
    ]
    pulling.sort(key=lambda container: container.times[Moment.PULLING].at)
    leaders: dict[tuple[str | None, str | None], ContainerTimeline] = {}
    shared_pulls = []
    for container in pulling:
        leader = leaders.get((container.node, container.image))
        if leader is not None and container.times[Moment.PULLING].at < leader.times[Moment.PULLED].at:
            shared_pulls.append((container.pod, container.container))
        else:
            leaders[container.node, container.image] = container
    return shared_pulls
