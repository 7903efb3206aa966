"""Timelines put together from records: each moment by its most precise source, each pod with its job.

One moment has several sources: the event's name to the microsecond, its timestamp and the status of pod and job to
the second. The most precise is taken, of equals the earliest, since a later one is of a repetition.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.timelines.timeline import JOB_MOMENTS, ContainerTimeline, JobTimeline, MomentTimes, Timestamp
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import JobRow, JobState

_STATUS_SECONDS = 1.0  # metav1.Time has whole seconds
# Pods of one job are created within this; the next job of the same name came 3.6 s later at the soonest (real logs).
_SAME_START_SECONDS = 3.0


@dataclass
class _GatheredContainer:
    """What the records have of one container, while they are read."""

    run: str | None = None
    size: int | None = None
    image: str | None = None
    node: str | None = None
    pulls: list[PullRecord] = field(default_factory=list)
    image_inferred: bool = False
    times: MomentTimes = field(default_factory=dict)

    @property
    def first_at(self) -> datetime | None:
        return min((time.at for time in self.times.values()), default=None)


JobKey = tuple[str | None, str | None]  # run and image
Members = dict[tuple[str, str | None], _GatheredContainer]  # by pod and container


def timelines_of(group: JobRecords) -> list[JobTimeline]:
    """One timeline a job and image (old studies gave all their images' jobs one name), in order of their start."""
    entry = group.entry
    groups: dict[JobKey, Members] = defaultdict(dict)
    for name, found in _gather(group).items():
        groups[found.run, entry.image if entry else found.image][name] = found
    _place_unnamed(groups, _completions(group.milestones))
    if entry is not None and not groups:
        groups[entry.run, entry.image] = {}
    job_times = _job_times(group, groups)
    timelines = [_job_timeline(key, members, job_times[key], group) for key, members in groups.items()]
    return sorted(timelines, key=_start_order)


def _start_order(job: JobTimeline) -> tuple[bool, float]:
    start = job.start
    return (start is None, start[1].at.timestamp() if start else 0.0)


def _gather(group: JobRecords) -> Members:
    found: Members = {}
    pods: dict[str, list[Milestone]] = defaultdict(list)
    for pull in group.pulls:
        if pull.pod is not None and pull.container is not None:
            _add_pull(found.setdefault((pull.pod, pull.container), _GatheredContainer()), pull)
    for row in group.pods:
        _add_pod_status(found.setdefault((row.pod, row.container), _GatheredContainer()), row)
    for milestone in group.milestones:
        if milestone.pod is None:
            continue
        if milestone.container is None:
            pods[milestone.pod].append(milestone)
            continue
        _add_milestone(found.setdefault((milestone.pod, milestone.container), _GatheredContainer()), milestone)
    _share_with_containers(found, pods)
    return found


def _share_with_containers(found: Members, pods: Mapping[str, list[Milestone]]) -> None:
    """A pod's moments are those of each of its containers; a pod of no known container has an entry of its own."""
    by_pod: dict[str, list[_GatheredContainer]] = defaultdict(list)
    for (pod, _), container in found.items():
        by_pod[pod].append(container)
    for pod, milestones in pods.items():
        if not by_pod[pod]:
            found[pod, None] = _GatheredContainer()
            by_pod[pod].append(found[pod, None])
        for milestone in milestones:
            for container in by_pod[pod]:
                _add_milestone(container, milestone)


def _add_pull(container: _GatheredContainer, pull: PullRecord) -> None:
    container.run, container.size = pull.run, pull.size
    container.image = container.image or pull.image
    container.node = container.node or pull.node
    container.pulls.append(pull)


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
    if key[1] is None and has_namesakes:
        return [(member.first_at, None) for member in members.values() if member.first_at is not None]
    began_at = _began_at(members)
    return [(began_at, key)] if began_at is not None else []


def _completions(milestones: Iterable[Milestone]) -> list[datetime]:
    return [milestone.at for milestone in milestones if milestone.moment is Moment.JOB_COMPLETED]


def _place_unnamed(groups: dict[JobKey, Members], ends: list[datetime]) -> None:
    """Containers of an unknown image, their Pulled event being lost, join the job of that name that began with them."""
    for key in [key for key in groups if key[1] is None]:
        namesakes = [
            (began_at, other)
            for other, members in groups.items()
            if other[0] == key[0] and other[1] is not None and (began_at := _began_at(members)) is not None
        ]
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


def _job_times(group: JobRecords, groups: Mapping[JobKey, Members]) -> dict[JobKey, MomentTimes]:
    """The job's own moments; where several images' jobs had one name, by time."""
    times: dict[JobKey, MomentTimes] = {key: {} for key in groups}
    has_namesakes = any(image is not None for _, image in groups)
    begun = [pair for key, members in groups.items() for pair in _beginnings(key, members, has_namesakes=has_namesakes)]
    for milestone in group.milestones:
        if milestone.pod is None and milestone.moment in JOB_MOMENTS:
            owner = _owner(begun, milestone)
            if owner is not None:
                _keep_finest(times[owner], milestone.moment, _timestamp(milestone))
    if group.entry is not None:
        for own in times.values():
            _add_ledger_times(own, group.entry)
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


def _job_timeline(key: JobKey, members: Members, times: MomentTimes, group: JobRecords) -> JobTimeline:
    run, image = key
    entry = group.entry
    caches = {row.node: row.cache for row in group.node_caches}
    sizes = [member.size for member in members.values() if member.size is not None]
    return JobTimeline(
        cluster=group.cluster,
        run=run,
        size=entry.size if entry else (sizes[0] if sizes else None),
        job=group.job,
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
                pulls=tuple(member.pulls),
                cache=caches.get(member.node or "", "unknown"),
                times={**member.times, **times},
                image_inferred=member.image_inferred,
            )
            for (pod, name), member in sorted(members.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        ),
    )
