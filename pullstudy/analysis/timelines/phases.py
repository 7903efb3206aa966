"""Phases: the makespan of each job, pod and container split at its moments.

A phase that is negative stays negative and is flagged: within the resolution of its two times it is
``unresolved:<phase>``, beyond it ``negative:<phase>``, which says that two clocks disagree or a time is wrong.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from pullstudy.analysis.timelines.job_overview import JobOverview, overview_of
from pullstudy.analysis.timelines.timeline import MOMENTS, ContainerTimeline, JobTimeline, MomentTime, MomentTimes
from pullstudy.pulls.milestone import Moment


@dataclass(frozen=True)
class Phase:
    """The segment between two moments."""

    begin: Moment
    end: Moment

    @property
    def name(self) -> str:
        return f"{self.begin}_to_{self.end}"

    def seconds(self, times: MomentTimes) -> float | None:
        """None where one of the two moments is unknown."""
        begin, end = times.get(self.begin), times.get(self.end)
        return end.seconds_since(begin) if begin is not None and end is not None else None

    def resolution_seconds(self, times: MomentTimes) -> float:
        return max(times[self.begin].resolution_seconds, times[self.end].resolution_seconds)


PHASES: tuple[Phase, ...] = tuple(Phase(begin, end) for begin, end in pairwise(MOMENTS))
# Sums of phases for moments that are often unknown: a cached image is never "Pulling", and no event reports a
# container's end. They overlap PHASES: add the ones or the others.
BRIDGES: tuple[Phase, ...] = (
    Phase(Moment.SCHEDULED, Moment.PULLED),
    Phase(Moment.STARTED, Moment.JOB_COMPLETED),
)
_COLUMNS = tuple((f"{phase.name}_seconds", phase) for phase in (*PHASES, *BRIDGES))
_MISSING = tuple((moment, f"missing:{moment}") for moment in MOMENTS)

PhaseRow = msgspec.defstruct(
    "PhaseRow",
    [
        ("level", str),  # job, or pod: one row a container of it
        ("cluster", str),
        ("run", str | None),
        ("size", int | None),
        ("job", str),
        ("number", int),  # among the jobs of that name on that cluster
        ("image", str | None),
        ("repeat", int | None),
        ("pod", str | None),  # of a job: its critical pod, whose phases these are
        ("container", str | None),
        ("node", str | None),
        ("cache", str),
        ("outcome", str | None),
        *((f"{phase.name}_seconds", float | None) for phase in PHASES),
        *((f"{phase.name}_seconds", float | None) for phase in BRIDGES),
        ("makespan_seconds", float | None),
        ("makespan_from", str | None),
        ("makespan_to", str | None),
        ("pull_seconds", float | None),
        ("waiting_seconds", float | None),
        ("resolution_seconds", float | None),  # of the coarsest time in the row
        ("pods_in_job", int),
        ("pods_on_node", int | None),  # of this job: more than one share the node's disk and one pull
        ("start_rank", int | None),  # 1 for the first container of the job to start
        ("critical", bool),
        ("flags", str),  # space between
    ],
    frozen=True,
    kw_only=True,
    module=__name__,
)
PHASE_COLUMNS: tuple[str, ...] = PhaseRow.__struct_fields__


def phase_rows(jobs: Iterable[JobTimeline]) -> Iterator[msgspec.Struct]:
    """A row a job, followed by one a container of it."""
    for job in jobs:
        overview = overview_of(job)
        yield _job_row(job, overview)
        for container in job.containers:
            yield _container_row(job, container, overview)


def _job_row(job: JobTimeline, overview: JobOverview) -> msgspec.Struct:
    critical = overview.critical
    times = critical.times if critical else job.times
    start, end = job.start, job.end
    return _row(
        job,
        times,
        level="job",
        container=critical,
        start=start,
        end=end,
        cache=job.cache,
        pods_in_job=overview.pods,
        pods_on_node=None,
        start_rank=None,
        critical=False,
        marks=() if critical else ("no-pod-seen",),
    )


def _container_row(job: JobTimeline, container: ContainerTimeline, overview: JobOverview) -> msgspec.Struct:
    on_node = overview.on_node[container.node] if container.node is not None else None
    marks = {
        "shares-node": on_node is not None and on_node > 1,
        "shared-pull": overview.shares_pull(container),
        "image-inferred": container.image_inferred,
    }
    return _row(
        job,
        container.times,
        level="pod",
        container=container,
        start=container.first,
        end=container.last,
        cache=container.cache,
        pods_in_job=overview.pods,
        pods_on_node=on_node,
        start_rank=overview.start_rank(container),
        critical=container is overview.critical,
        marks=[mark for mark, holds in marks.items() if holds],
    )


def _row(
    job: JobTimeline,
    times: MomentTimes,
    *,
    level: str,
    container: ContainerTimeline | None,
    start: MomentTime | None,
    end: MomentTime | None,
    cache: str,
    pods_in_job: int,
    pods_on_node: int | None,
    start_rank: int | None,
    critical: bool,
    marks: Iterable[str],
) -> msgspec.Struct:
    seconds = {column: phase.seconds(times) for column, phase in _COLUMNS}
    pull = container.pull if container else None
    resolutions = [time.resolution_seconds for time in times.values()]
    return PhaseRow(
        level=level,
        cluster=job.cluster,
        run=job.run,
        size=job.size,
        job=job.job,
        number=job.number,
        image=(level == "pod" and container and container.image) or job.image,
        repeat=job.repeat,
        pod=container.pod if container else None,
        container=container.container if container else None,
        node=container.node if container else None,
        cache=cache,
        outcome=container.outcome if container else None,
        makespan_seconds=end[1].seconds_since(start[1]) if start and end else None,
        makespan_from=start[0] if start else None,
        makespan_to=end[0] if end else None,
        pull_seconds=pull.pull_seconds if pull else None,
        waiting_seconds=pull.waiting_seconds if pull else None,
        resolution_seconds=max(resolutions, default=None),
        pods_in_job=pods_in_job,
        pods_on_node=pods_on_node,
        start_rank=start_rank,
        critical=critical,
        flags=" ".join((*_flags(times, seconds), *marks)),
        **seconds,
    )


def _flags(times: MomentTimes, seconds: Mapping[str, float | None]) -> list[str]:
    """What is missing of the moments, and which of their phases are below zero."""
    flags = [missing for moment, missing in _MISSING if moment not in times]
    for column, phase in _COLUMNS:
        took = seconds[column]
        if took is not None and took < 0:
            flags.append(f"{below_zero(took, phase.resolution_seconds(times))}:{phase.name}")
    return flags


def below_zero(seconds: float, resolution_seconds: float) -> str:
    """The flag of a phase that is negative."""
    return "unresolved" if -seconds < resolution_seconds else "negative"
