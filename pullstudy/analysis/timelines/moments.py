"""Moments: every time that is known of every job, pod and container, as a table.

Whatever lies between two of them can be asked of it; phases has the usual stretches ready.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from pullstudy.analysis.timelines.timeline import JOB_MOMENTS, MOMENTS, ContainerTimeline, JobTimeline
from pullstudy.pulls.milestone import Moment, Witness

_POD_MOMENTS = (Moment.POD_CREATED, Moment.SCHEDULED)
_CONTAINER_MOMENTS = tuple(moment for moment in MOMENTS if moment not in (*JOB_MOMENTS, *_POD_MOMENTS))


class MomentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a job, of a pod of it, or of a container. What it is not of is None."""

    cluster: str
    run: str | None
    size: int | None
    job: str
    number: int  # among the jobs of that name on that cluster, in order of time, from 1
    image: str | None  # the container's; of job and pod the job's, where it has one only
    pod: str | None
    container: str | None
    node: str | None
    moment: Moment
    at: datetime
    seconds: float | None  # since the job's start: its creation, or the first moment of one of its pods
    resolution_seconds: float
    source: Witness
    clock: str


MOMENT_COLUMNS: tuple[str, ...] = MomentRow.__struct_fields__


def moment_rows(jobs: Iterable[JobTimeline]) -> Iterator[MomentRow]:
    """By job: its own moments, then each pod's, each followed by those of its containers."""
    for job in jobs:
        yield from _rows(job, None, JOB_MOMENTS)
        before = None
        for container in job.containers:
            if container.pod != before:
                yield from _rows(job, container, _POD_MOMENTS)
            before = container.pod
            yield from _rows(job, container, _CONTAINER_MOMENTS)


def _rows(job: JobTimeline, container: ContainerTimeline | None, moments: Iterable[Moment]) -> Iterator[MomentRow]:
    times = container.times if container else job.times
    start = job.start
    for moment in moments:
        if moment not in times:
            continue
        time = times[moment]
        of_pod = moment in _POD_MOMENTS
        yield MomentRow(
            cluster=job.cluster,
            run=job.run,
            size=job.size,
            job=job.job,
            number=job.number,
            image=container.image if container and not of_pod else job.image,
            pod=container.pod if container else None,
            container=container.container if container and not of_pod else None,
            node=container.node if container else None,
            moment=moment,
            at=time.at,
            seconds=time.seconds_since(start[1]) if start else None,
            resolution_seconds=time.resolution_seconds,
            source=time.source,
            clock=time.clock,
        )
