"""A small study whole in memory, for tests that change it and look at it from all sides."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.reading.study import opened_study
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import JobRow, NodeCache


@dataclass(frozen=True)
class WholeStudy:
    """The records of jobs, and what the ledger has of these."""

    pulls: tuple[PullRecord, ...]
    milestones: tuple[Milestone, ...]
    jobs: tuple[JobRow, ...]
    node_caches: tuple[NodeCache, ...]
    pods: tuple[PodWitness, ...]
    gaps: tuple[Gap, ...]
    rejects: tuple[Reject, ...]
    stages: tuple[PullStages, ...] = ()
    layers: tuple[PulledLayer, ...] = ()

    def groups(self) -> list[JobRecords]:
        entries = {(row.cluster, row.job): row for row in self.jobs}
        parts = [_by_job(each) for each in (self.pulls, self.milestones, self.node_caches, self.pods)]
        names = sorted({*entries, *(name for part in parts for name in part)})
        return [
            JobRecords(
                *name,
                pulls=parts[0][name],
                milestones=parts[1][name],
                entry=entries.get(name),
                node_caches=parts[2][name],
                pods=parts[3][name],
            )
            for name in names
        ]

    def timelines(self) -> list[JobTimeline]:
        return [job for group in self.groups() for job in timelines_of(group)]


def _by_job(records: Iterable[Any]) -> dict[tuple[str, str], tuple[Any, ...]]:
    found: dict[tuple[str, str], tuple[Any, ...]] = defaultdict(tuple)
    for record in records:
        if record.job is not None:
            found[record.cluster, record.job] += (record,)
    return found


def read_whole(directory: Path) -> WholeStudy:
    with opened_study(directory) as records:
        groups = list(records.jobs())
        return WholeStudy(
            pulls=tuple(pull for group in groups for pull in group.pulls),
            milestones=tuple(each for group in groups for each in group.milestones),
            jobs=records.study.ledger.jobs,
            node_caches=tuple(row for group in groups for row in group.node_caches),
            pods=tuple(row for group in groups for row in group.pods),
            gaps=tuple(records.gaps()),
            rejects=tuple(records.rejects()),
            stages=tuple(records.pull_stages()),
            layers=tuple(records.pulled_layers()),
        )
