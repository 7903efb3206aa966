"""Timelines put together from records: each moment by its most precise source, each pod with its job.

One moment has several sources: the event's name to the microsecond, its timestamp and the status of pod and job to
the second. The most precise is taken, of equals the earliest, since a later one is of a repetition.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pullstudy.analysis.reading.study import StudyData
from pullstudy.analysis.timelines.timeline import JOB_MOMENTS, ContainerTimeline, JobTimeline, MomentTimes, Timestamp
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import JobRow, JobState

_STATUS_SECONDS = 1.0  # metav1.Time has whole seconds
# Pods of one job are created within this; the next job of the same name came 3.6 s later at the soonest (real logs).
_SAME_START_SECONDS = 3.0


@dataclass
class _GatheredContainer:
    """What the records have of one container, while they are read."""

    job: str
    run: str | None = None
    size: int | None = None
    image: str | None = None
    node: str | None = None
    pull: PullRecord | None = None
    image_inferred: bool = False
    times: MomentTimes = field(default_factory=dict)

    @property
    def first_at(self) -> datetime | None:
        return min((time.at for time in self.times.values()), default=None)


JobKey = tuple[str, str | None, str, str | None]  # cluster, run, job, image
Members = dict[tuple[str, str | None], _GatheredContainer]  # by pod and container


def build_timelines(study: StudyData) -> list[JobTimeline]:
    """One timeline a job and image (old studies gave all their images' jobs one name), in order of their start."""
    containers = _gather(study)
    ledger = {(job.cluster, job.job): job for job in study.ledger.jobs}
    nodes = {(row.cluster, row.job, row.node): row.cache for row in study.ledger.node_caches}
    groups: dict[JobKey, Members] = defaultdict(dict)
    for (cluster, pod, name), found in containers.items():
        entry = ledger.get((cluster, found.job))
        image = entry.image if entry else found.image
        groups[cluster, found.run, found.job, image][pod, name] = found
    _place_unnamed(groups, _completions(study.milestones))
    for (cluster, job_name), job in ledger.items():
        if not any(key[0] == cluster and key[2] == job_name for key in groups):
            groups[cluster, job.run, job_name, job.image] = {}
    job_times = _job_times(study, groups)
    timelines = [
        _job_timeline(key, members, job_times[key], ledger.get((key[0], key[2])), nodes)
        for key, members in groups.items()
    ]
    return sorted(timelines, key=_order)


def _order(job: JobTimeline) -> tuple[int, str, bool, float, str]:
    start = job.start
    return (job.size or 0, job.cluster, start is None, start[1].at.timestamp() if start else 0.0, job.job)


Gathered = dict[tuple[str, str, str | None], _GatheredContainer]


def _gather(study: StudyData) -> Gathered:
    found: Gathered = {}
    pods: dict[tuple[str, str], list[Milestone]] = defaultdict(list)
    for pull in study.pulls:
        if pull.pod is not None and pull.job is not None and pull.container is not None:
            _add_pull(found.setdefault((pull.cluster, pull.pod, pull.container), _GatheredContainer(pull.job)), pull)
    for row in study.ledger.pods:
        _add_pod_status(found.setdefault((row.cluster, row.pod, row.container), _GatheredContainer(row.job)), row)
    for milestone in study.milestones:
        if milestone.pod is None or milestone.job is None:
            continue
        if milestone.container is None:
            pods[milestone.cluster, milestone.pod].append(milestone)
            continue
        key = (milestone.cluster, milestone.pod, milestone.container)
        _add_milestone(found.setdefault(key, _GatheredContainer(milestone.job)), milestone)
    _share_with_containers(found, pods)
    return found


def _share_with_containers(found: Gathered, pods: Mapping[tuple[str, str], list[Milestone]]) -> None:
    """A pod's moments are those of each of its containers; a pod of no known container has an entry of its own."""
    by_pod: dict[tuple[str, str], list[_GatheredContainer]] = defaultdict(list)
    for (cluster, pod, _), container in found.items():
        by_pod[cluster, pod].append(container)
    for (cluster, pod), milestones in pods.items():
        for milestone in milestones:
            if not by_pod[cluster, pod]:
                found[cluster, pod, None] = _GatheredContainer(milestone.job or "")
                by_pod[cluster, pod].append(found[cluster, pod, None])
            for container in by_pod[cluster, pod]:
                _add_milestone(container, milestone)


def _add_pull(container: _GatheredContainer, pull: PullRecord) -> None:
    container.run, container.size = pull.run, pull.size
    container.image = container.image or pull.image
    container.node = container.node or pull.node
    # Records come in order of time: the first that made the image present is the one that counts.
    if container.pull is None and pull.outcome in (Outcome.PULLED, Outcome.CACHED):
        container.pull = pull


def _add_pod_status(container: _GatheredContainer, row: PodWitness) -> None:
    container.image = container.image or row.image
    container.node = container.node or row.node
    for moment, at, clock in (
        (Moment.POD_CREATED, row.created_at, CONTROL_PLANE),
        (Moment.SCHEDULED, row.scheduled_at, CONTROL_PLANE),
        (Moment.STARTED, row.started_at, row.node or "unknown"),
        (Moment.FINISHED, row.finished_at, row.node or "unknown"),
    ):
        if at is not None:
            _keep_finest(container.times, moment, Timestamp(at, _STATUS_SECONDS, Witness.POD, clock))


def _add_milestone(container: _GatheredContainer, milestone: Milestone) -> None:
    container.run = container.run if container.run is not None else milestone.run
    container.size = container.size if container.size is not None else milestone.size
    container.node = container.node or milestone.node
    _keep_finest(container.times, milestone.moment, _timestamp(milestone))


def _timestamp(milestone: Milestone) -> Timestamp:
    return Timestamp(milestone.at, milestone.resolution_seconds, milestone.witness, milestone.clock)


def _keep_finest(times: MomentTimes, moment: Moment, time: Timestamp) -> None:
    known = times.get(moment)
    if known is None or (time.resolution_seconds, time.at) < (known.resolution_seconds, known.at):
        times[moment] = time


def _began_at(members: Members) -> datetime | None:
    return min((member.first_at for member in members.values() if member.first_at is not None), default=None)


def _beginnings(key: JobKey, members: Members, *, has_namesakes: bool) -> Iterable[tuple[datetime, JobKey | None]]:
    """When the job began. Among jobs of one name, each pod of an unknown image may be of yet another job."""
    if key[3] is None and has_namesakes:
        return [(member.first_at, None) for member in members.values() if member.first_at is not None]
    began_at = _began_at(members)
    return [(began_at, key)] if began_at is not None else []


def _completions(milestones: Iterable[Milestone]) -> Mapping[tuple[str, str], list[datetime]]:
    found: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for milestone in milestones:
        if milestone.moment is Moment.JOB_COMPLETED and milestone.job is not None:
            found[milestone.cluster, milestone.job].append(milestone.at)
    return found


def _place_unnamed(groups: dict[JobKey, Members], completions: Mapping[tuple[str, str], list[datetime]]) -> None:
    """Containers of an unknown image, their Pulled event being lost, join the job of that name that began with them."""
    for key in [key for key in groups if key[3] is None]:
        namesakes = [
            (began_at, other)
            for other, members in groups.items()
            if other[:3] == key[:3] and other[3] is not None and (began_at := _began_at(members)) is not None
        ]
        ends = completions.get((key[0], key[2]), [])
        for name, member in list(groups[key].items()):
            job = _nearest(namesakes, ends, member.first_at)
            if job is not None:
                member.image_inferred = True
                groups[job][name] = groups[key].pop(name)
        if not groups[key]:
            del groups[key]


def _nearest(
    namesakes: Iterable[tuple[datetime, JobKey]], ends: Iterable[datetime], at: datetime | None
) -> JobKey | None:
    """The job that began near ``at``, where none of them ended in between."""
    if at is None:
        return None
    near = [
        (abs((began_at - at).total_seconds()), key)
        for began_at, key in namesakes
        if not any(min(began_at, at) < end < max(began_at, at) for end in ends)
    ]
    return min((pair for pair in near if pair[0] <= _SAME_START_SECONDS), default=(0.0, None), key=lambda p: p[0])[1]


def _job_times(study: StudyData, groups: Mapping[JobKey, Members]) -> dict[JobKey, MomentTimes]:
    """The job's own moments; where several images' jobs had one name, by time."""
    times: dict[JobKey, MomentTimes] = {key: {} for key in groups}
    namesakes: dict[tuple[str, str], list[tuple[datetime, JobKey | None]]] = defaultdict(list)
    named = {(key[0], key[2]) for key in groups if key[3] is not None}
    for key, members in groups.items():
        namesakes[key[0], key[2]].extend(_beginnings(key, members, has_namesakes=(key[0], key[2]) in named))
    for milestone in study.milestones:
        if milestone.pod is None and milestone.moment in JOB_MOMENTS and milestone.job is not None:
            owner = _owner(namesakes.get((milestone.cluster, milestone.job), []), milestone)
            if owner is not None:
                _keep_finest(times[owner], milestone.moment, _timestamp(milestone))
    for job in study.ledger.jobs:
        for owner in [key for key in groups if key[0] == job.cluster and key[2] == job.job]:
            _add_ledger_times(times[owner], job)
    return times


def _owner(candidates: Iterable[tuple[datetime, JobKey | None]], milestone: Milestone) -> JobKey | None:
    """A job completes after its own pods began and before the next job of its name; its creation comes before both."""
    if milestone.moment is Moment.JOB_COMPLETED:
        return max((pair for pair in candidates if pair[0] <= milestone.at), default=(None, None), key=_start)[1]
    later = [pair for pair in candidates if pair[0] >= milestone.at.replace(microsecond=0)]
    return min(later, default=(None, None), key=_start)[1]


def _start(pair: tuple[datetime | None, object]) -> datetime:
    assert pair[0] is not None
    return pair[0]


def _add_ledger_times(times: MomentTimes, job: JobRow) -> None:
    for moment, at in ((Moment.JOB_CREATED, job.created_at), (Moment.JOB_COMPLETED, job.completed_at)):
        if at is not None:
            resolution = 1e-6 if at.microsecond else _STATUS_SECONDS
            _keep_finest(times, moment, Timestamp(at, resolution, Witness.JOB, CONTROL_PLANE))


def _deleted(entry: JobRow | None) -> Timestamp | None:
    if entry is None or entry.deleted_at is None:
        return None
    resolution = 1e-6 if entry.deleted_at.microsecond else _STATUS_SECONDS
    return Timestamp(entry.deleted_at, resolution, Witness.JOB, CONTROL_PLANE)


def _job_timeline(
    key: JobKey,
    members: Members,
    times: MomentTimes,
    entry: JobRow | None,
    nodes: Mapping[tuple[str, str, str], str],
) -> JobTimeline:
    cluster, run, job, image = key
    sizes = [member.size for member in members.values() if member.size is not None]
    return JobTimeline(
        cluster=cluster,
        run=run,
        size=entry.size if entry else (sizes[0] if sizes else None),
        job=job,
        image=image,
        repeat=entry.repeat if entry else None,
        times=times,
        deleted=_deleted(entry),
        failed=entry is not None and entry.state == JobState.FAILED,
        containers=tuple(
            ContainerTimeline(
                pod=pod,
                container=name,
                node=member.node,
                outcome=member.pull.outcome if member.pull else None,
                pull=member.pull,
                cache=nodes.get((cluster, job, member.node or ""), "unknown"),
                times={**member.times, **times},
                image_inferred=member.image_inferred,
            )
            for (pod, name), member in sorted(members.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        ),
    )
