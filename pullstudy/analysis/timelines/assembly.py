"""Timelines put together from the records of one job name: its pods, each with its job, and the jobs' own moments.

What a job is, is said in separation; how a moment is told, in pods.
"""

from collections.abc import Iterator, Mapping

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.timelines.pods import STATUS_SECONDS, GatheredPod, gather_pods, keep_finest
from pullstudy.analysis.timelines.separation import SeparateJob, separate
from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline, MomentTimes, Timestamp
from pullstudy.pulls.milestone import CONTROL_PLANE, Moment, Witness
from pullstudy.store.embedded.ledger import JobRow, JobState

Images = Mapping[str, str]  # by container


def timelines_of(group: JobRecords) -> list[JobTimeline]:
    """One timeline a job, in order of their start."""
    entry = group.entry
    own = [milestone for milestone in group.milestones if milestone.pod is None]
    jobs = separate(group.job, gather_pods(group), own, made_once=entry is not None)
    if entry is not None and not jobs:
        jobs = [SeparateJob(entry.job_uid, entry.run, None, [])]
    made = _made_by_sweep(jobs, entry)
    return [_job_timeline(job, number, group, entry if job is made else None) for number, job in enumerate(jobs, 1)]


def _made_by_sweep(jobs: list[SeparateJob], entry: JobRow | None) -> SeparateJob | None:
    """The job that the ledger's row is of: the one of its uid, else the first."""
    if entry is None:
        return None
    return next((job for job in jobs if job.uid is not None and job.uid == entry.job_uid), jobs[0])


def _job_timeline(job: SeparateJob, number: int, group: JobRecords, entry: JobRow | None) -> JobTimeline:
    if entry is not None:
        _add_ledger_times(job.times, entry)
    images = {name: image for pod in job.pods for name, image in pod.images.items()}
    caches = {row.node: str(row.cache) for row in group.node_caches}
    named = tuple(sorted(set(images.values())))
    return JobTimeline(
        cluster=group.cluster,
        run=entry.run if entry else job.run,
        size=entry.size if entry else next((pod.size for pod in job.pods if pod.size is not None), None),
        namespace=job.namespace,
        job=group.job,
        number=number,
        image=entry.image if entry else (named[0] if len(named) == 1 else None),
        images=named or ((entry.image,) if entry else ()),
        repeat=entry.repeat if entry else None,
        times=job.times,
        deleted=_deleted(entry),
        failed=entry is not None and entry.state == JobState.FAILED,
        containers=tuple(
            timeline
            for pod in sorted(job.pods, key=lambda pod: (pod.name, pod.uid or ""))
            for timeline in _containers(pod, job.times, images, caches.get(pod.node or "", "unknown"))
        ),
    )


def _containers(pod: GatheredPod, own: MomentTimes, images: Images, cache: str) -> Iterator[ContainerTimeline]:
    """Each has the pod's moments and the job's too; a pod of no known container stands by itself."""
    if not pod.containers:
        yield ContainerTimeline(pod.name, None, pod.node, None, cache, {**pod.times, **own})
    for name, found in sorted(pod.containers.items()):
        image = found.image or images.get(name)
        yield ContainerTimeline(
            pod=pod.name,
            container=name,
            node=pod.node,
            image=image,
            cache=cache,
            times={**pod.times, **found.times, **own},
            pulls=tuple(found.pulls),
            image_inferred=found.image is None and image is not None,
        )


def _add_ledger_times(times: MomentTimes, job: JobRow) -> None:
    for moment, at in ((Moment.JOB_CREATED, job.created_at), (Moment.JOB_COMPLETED, job.completed_at)):
        if at is not None:
            resolution = 1e-6 if at.microsecond else STATUS_SECONDS
            keep_finest(times, moment, Timestamp(at, resolution, Witness.JOB, CONTROL_PLANE))


def _deleted(entry: JobRow | None) -> Timestamp | None:
    if entry is None or entry.deleted_at is None:
        return None
    resolution = 1e-6 if entry.deleted_at.microsecond else STATUS_SECONDS
    return Timestamp(entry.deleted_at, resolution, Witness.JOB, CONTROL_PLANE)
