"""Which nodes took part in the jobs of a cluster, and which of their pulls were downloads.

A cluster's size is what it was made with: where nothing keeps pods apart, several share a node, others have none, and
the pulls of those that share one wait for a single download. So the size is no count of nodes that pulled, and the
pulls no count of downloads.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pullstudy.analysis.timelines.job_summary import JobSummary


@dataclass(frozen=True, kw_only=True)
class Participation:
    """Of one cluster's jobs whose pods' nodes are all known; pulls are those of all its jobs."""

    cluster: str
    size: int | None  # nodes that the cluster had
    jobs: int
    fewest_nodes: int  # that took part in a job
    most_nodes: int
    on_fewer: int  # jobs with pods for more nodes than took part
    on_more: int  # jobs on more nodes than the cluster is said to have
    downloads: int
    riders: int  # pulls that waited for the download of another pod on their node

    @property
    def pulls(self) -> int:
        return self.downloads + self.riders


def participations(jobs: Iterable[JobSummary]) -> list[Participation]:
    """Of each cluster, in order of size."""
    by_cluster: dict[str, list[JobSummary]] = defaultdict(list)
    for job in jobs:
        by_cluster[job.cluster].append(job)
    found = [_participation(cluster, members) for cluster, members in by_cluster.items()]
    return sorted(found, key=lambda each: (each.size or 0, each.cluster))


def _participation(cluster: str, jobs: list[JobSummary]) -> Participation:
    size = next((job.size for job in jobs if job.size is not None), None)
    placed = [job for job in jobs if job.nodes and job.placed_pods == job.pods]
    return Participation(
        cluster=cluster,
        size=size,
        jobs=len(placed),
        fewest_nodes=min((len(job.nodes) for job in placed), default=0),
        most_nodes=max((len(job.nodes) for job in placed), default=0),
        on_fewer=sum(len(job.nodes) < min(job.pods, size or job.pods) for job in placed),
        on_more=sum(size is not None and len(job.nodes) > size for job in placed),
        downloads=sum(len(pulls.downloads) for job in jobs for pulls in job.pulls),
        riders=sum(len(pulls.riders) for job in jobs for pulls in job.pulls),
    )
