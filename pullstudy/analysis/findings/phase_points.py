"""What follows only from a whole job, as points for dashboards: phases, stragglers, and what nodes held before a pull.

A dashboard's query can join tens of thousands of moments only in many seconds; here they are joined once. The figures
are those of the report, by the same code.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from pullstudy.analysis.findings.stragglers import job_spread, pod_starts
from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.critical_path import critical_path
from pullstudy.analysis.timelines.timeline import JOB_MOMENTS, MOMENTS, ContainerTimeline, JobTimeline
from pullstudy.pulls.milestone import Moment
from pullstudy.store.influx.point_layout import JobPhases, PodPhases, PullCache

Point = JobPhases | PodPhases | PullCache


def phase_points(groups: Iterable[JobRecords]) -> Iterator[Point]:
    """Of each job that is over, and of each pull of a node whose cache was looked at."""
    for group in groups:
        yield from _caches(group)
        for job in timelines_of(group):
            if job.start is not None and Moment.JOB_COMPLETED in job.times:
                yield _job(job)
                yield from _pods(job)


def _caches(group: JobRecords) -> Iterator[PullCache]:
    known = {row.node: str(row.cache) for row in group.node_caches}
    for pull in group.pulls:
        cache = known.get(pull.node or "")
        if cache is not None:
            shared = {name: getattr(pull, name) for name in PullCache.__struct_fields__ if name != "cache"}
            yield PullCache(cache=cache, **shared)


def _of(job: JobTimeline) -> dict[str, Any]:
    assert job.start is not None
    place = {"cluster": job.cluster, "run": job.run, "size": job.size, "job": job.job, "image": job.image}
    return {**place, "at": job.start[1].at}


def _until(segments: Iterable[tuple[Moment, float]]) -> dict[str, Any]:
    return {f"until_{end}_seconds": seconds for end, seconds in segments}


def _job(job: JobTimeline) -> JobPhases:
    critical = job.critical_container
    return JobPhases(
        **_of(job),
        cache=job.cache,
        pod=critical.pod if critical else None,
        node=critical.node if critical else None,
        makespan_seconds=job.makespan_seconds,
        **_until((segment.end, segment.seconds) for segment in critical_path(job)),
    )


def _pods(job: JobTimeline) -> Iterator[PodPhases]:
    starts = pod_starts(job)
    spread = job_spread(job, starts)
    late = {straggler.pod for straggler in spread.stragglers} if spread else set()
    for container in job.containers:
        last, seconds = starts.get(container.pod, (None, None))
        counts = spread is not None and last is container
        yield PodPhases(
            **{**_of(job), "image": container.image or job.image},
            node=container.node,
            cache=container.cache,
            pod=container.pod,
            container=container.container,
            started_seconds=seconds if last is container else None,
            median_seconds=spread.median_seconds if spread and counts else None,
            excess_seconds=seconds - spread.median_seconds if spread and counts and seconds is not None else None,
            straggled=int(container.pod in late) if counts else None,
            **_until(_segments(container)),
        )


def _segments(container: ContainerTimeline) -> Iterator[tuple[Moment, float]]:
    """Between the pod's own moments that are known."""
    known = [(moment, container.times[moment]) for moment in MOMENTS if moment in container.times]
    own = [(moment, time) for moment, time in known if moment not in JOB_MOMENTS]
    for (_, earlier), (moment, later) in pairwise(own):
        yield moment, later.seconds_since(earlier)
