"""What is stored of the jobs of one name on one cluster: the piece of a study that timelines are made from."""

from dataclasses import dataclass

from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import JobRow, NodeCache


@dataclass(frozen=True)
class JobRecords:
    """Records in order of time. Several jobs may have had the name, one after the other or of one image each.

    ``entry`` is the ledger's row of that name, where a sweep made the job; ``node_caches`` and ``pods`` are what the
    sweep saw of its nodes before it and of its pods after it.
    """

    cluster: str
    job: str
    pulls: tuple[PullRecord, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    entry: JobRow | None = None
    node_caches: tuple[NodeCache, ...] = ()
    pods: tuple[PodWitness, ...] = ()
