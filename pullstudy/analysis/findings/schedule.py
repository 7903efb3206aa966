"""The wall time of a cluster, from its first job to its last: in jobs, and what the study itself adds between them.

Wall time is the time in which at least one job was under way, and the time between jobs. Jobs may overlap: their
makespans then add up to more than the time in jobs. Between two jobs the study deletes the first and waits until its
pods are gone, where the ledger has when that was; a stretch of more than PAUSE_SECONDS is a pause, in which nothing
was studied; and after a job whose end is not on record nobody knows how long it went on.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pullstudy.analysis.timelines.job_summary import JobSummary

PAUSE_SECONDS = 600.0  # the study's own work between two jobs took up to 43 s, at 256 nodes


@dataclass(frozen=True, kw_only=True)
class ClusterSchedule:
    """Seconds, none below zero; ``wall_seconds`` is the sum of all others but the overlaps."""

    cluster: str
    run: str | None
    size: int | None
    jobs: int
    wall_seconds: float
    in_jobs_seconds: float
    overlap_seconds: float  # by which the makespans add up to more than the time in jobs, with the next
    unresolved_seconds: float  # overlaps that are none: no more than the times' resolution can make
    deleting_seconds: float  # until a job and its pods were gone, where the ledger has it
    between_seconds: float  # the rest of what is between jobs
    pauses: tuple[float, ...]
    unknown_seconds: float  # from the last sign of a job whose end is not on record to the next job

    @property
    def own_seconds(self) -> float:
        """What the study itself took, and no workload feels."""
        return self.deleting_seconds + self.between_seconds


@dataclass
class _Tally:
    overlap: float = 0.0
    unresolved: float = 0.0
    deleting: float = 0.0
    between: float = 0.0
    unknown: float = 0.0
    pauses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Span:
    start: datetime
    end: datetime
    resolution_seconds: float
    job: JobSummary


def cluster_schedules(jobs: Iterable[JobSummary]) -> list[ClusterSchedule]:
    """Of each cluster, in order of size."""
    by_cluster: dict[str, list[_Span]] = defaultdict(list)
    for job in jobs:
        if job.start is not None and job.end is not None and job.makespan_seconds is not None:
            resolution = max(job.start.resolution_seconds, job.end.resolution_seconds)
            by_cluster[job.cluster].append(_Span(job.start.at, job.end.at, resolution, job))
    found = [_schedule(cluster, sorted(spans, key=lambda span: span.start)) for cluster, spans in by_cluster.items()]
    return sorted(found, key=lambda each: (each.size or 0, each.cluster))


def _schedule(cluster: str, spans: list[_Span]) -> ClusterSchedule:
    tally = _Tally()
    last = spans[0]
    for span in spans[1:]:
        if span.start < last.end:
            _count_overlap(tally, last, span)
        else:
            _count_gap(tally, last, span.start)
        last = max(last, span, key=lambda each: each.end)
    makespans = sum((span.end - span.start).total_seconds() for span in spans)
    return ClusterSchedule(
        cluster=cluster,
        run=spans[0].job.run,
        size=spans[0].job.size,
        jobs=len(spans),
        wall_seconds=(last.end - spans[0].start).total_seconds(),
        in_jobs_seconds=makespans - tally.overlap - tally.unresolved,
        overlap_seconds=tally.overlap,
        unresolved_seconds=tally.unresolved,
        deleting_seconds=tally.deleting,
        between_seconds=tally.between,
        pauses=tuple(tally.pauses),
        unknown_seconds=tally.unknown,
    )


def _count_overlap(tally: _Tally, last: _Span, span: _Span) -> None:
    """Times of whole seconds are cut off: one job seems to begin up to a second before the other's end."""
    seconds = (min(span.end, last.end) - span.start).total_seconds()
    if (last.end - span.start).total_seconds() <= max(span.resolution_seconds, last.resolution_seconds):
        tally.unresolved += seconds
    else:
        tally.overlap += seconds


def _count_gap(tally: _Tally, last: _Span, begun: datetime) -> None:
    """What is between the end of all jobs so far and the beginning of the next one."""
    deleted = last.job.deleted
    gone = min(max(deleted.at, last.end), begun) if deleted is not None else last.end
    rest = (begun - gone).total_seconds()
    tally.deleting += (gone - last.end).total_seconds()
    if not last.job.completed:
        tally.unknown += rest
    elif rest > PAUSE_SECONDS:
        tally.pauses.append(rest)
    else:
        tally.between += rest
