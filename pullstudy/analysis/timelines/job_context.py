"""The company a container keeps: how many pods of its job share its node, and whose pull it rode on."""

from collections import Counter
from dataclasses import dataclass

from pullstudy.analysis.timelines.critical_path import critical_container
from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome


@dataclass(frozen=True)
class Company:
    """What is known of a job's containers only by looking at all of them."""

    pods: int
    on_node: Counter[str | None]  # pods by node
    critical: ContainerTimeline | None
    ranks: dict[tuple[str, str | None], int]
    riders: frozenset[tuple[str, str | None]]

    def start_rank(self, container: ContainerTimeline) -> int | None:
        """1 for the first container of the job to start; None where its start has no witness."""
        return self.ranks.get((container.pod, container.container))

    def rides_along(self, container: ContainerTimeline) -> bool:
        """Whether its pull began while another's of the same image was under way on its node: one download for both."""
        return (container.pod, container.container) in self.riders


def company_of(job: JobTimeline) -> Company:
    pods = {container.pod: container.node for container in job.containers}
    return Company(
        pods=len(pods),
        on_node=Counter(pods.values()),
        critical=critical_container(job),
        ranks=_ranks(job),
        riders=frozenset(_riders(job)),
    )


def _ranks(job: JobTimeline) -> dict[tuple[str, str | None], int]:
    started = [container for container in job.containers if Moment.STARTED in container.marks]
    started.sort(key=lambda container: container.marks[Moment.STARTED].at)
    return {(container.pod, container.container): rank for rank, container in enumerate(started, 1)}


def _riders(job: JobTimeline) -> list[tuple[str, str | None]]:
    pulling = [
        container
        for container in job.containers
        if container.outcome is Outcome.PULLED
        and container.node is not None
        and Moment.PULLING in container.marks
        and Moment.PULLED in container.marks
    ]
    pulling.sort(key=lambda container: container.marks[Moment.PULLING].at)
    first: dict[str, ContainerTimeline] = {}
    riders = []
    for container in pulling:
        leader = first.setdefault(container.node or "", container)
        began, over = container.marks[Moment.PULLING].at, leader.marks[Moment.PULLED].at
        if leader is not container and began < over:
            riders.append((container.pod, container.container))
    return riders
