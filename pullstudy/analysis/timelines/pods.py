"""What the records of one job name have of each pod and container: each moment by its most precise source.

Pods with the same uid are one pod, and so are all that is recorded without a uid under one name. A record that names
a pod and no uid (the job controller's word that it made it) is of the pod of that name.

One moment has several sources: the event's name to the microsecond, its timestamp and the status of pod and job to
the second. The most precise is taken, of equals the earliest, since a later one is of a repetition.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.timelines.timeline import MomentTimes, Timestamp
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.witness import PodWitness

STATUS_SECONDS = 1.0  # metav1.Time has whole seconds


class GatheredContainer(msgspec.Struct):
    """One container while the records are read."""

    image: str | None = None
    pulls: list[PullRecord] = msgspec.field(default_factory=list)  # all attempts, in order of time
    times: MomentTimes = msgspec.field(default_factory=dict)


class GatheredPod(msgspec.Struct):
    """One pod while the records are read; ``times`` are its own moments, without its containers'."""

    name: str
    uid: str | None
    namespace: str | None = None
    job_uid: str | None = None
    run: str | None = None
    size: int | None = None
    node: str | None = None
    times: MomentTimes = msgspec.field(default_factory=dict)
    containers: dict[str, GatheredContainer] = msgspec.field(default_factory=dict)
    first_at: datetime | None = None  # the first that is known of it, of a failed pull too, which has no moment

    def seen(self, at: datetime | None) -> None:
        """Something is known of it at that time."""
        if at is not None and (self.first_at is None or at < self.first_at):
            self.first_at = at

    def container(self, name: str) -> GatheredContainer:
        """The one of that name, from now on at the latest."""
        found = self.containers.get(name)
        if found is None:
            found = self.containers[name] = GatheredContainer()
        return found

    @property
    def images(self) -> dict[str, str]:
        """By container, where known."""
        return {name: found.image for name, found in self.containers.items() if found.image is not None}


def keep_finest(times: MomentTimes, moment: Moment, time: Timestamp) -> None:
    """Keep the time where it is the most precise known, or as precise and earlier."""
    known = times.get(moment)
    if known is None or (time.resolution_seconds, time.at) < (known.resolution_seconds, known.at):
        times[moment] = time


def timestamp_of(milestone: Milestone) -> Timestamp:
    """Its time and what is known of it."""
    return Timestamp(milestone.at, milestone.resolution_seconds, milestone.witness, milestone.clock)


def gather_pods(group: JobRecords) -> list[GatheredPod]:
    """The pods that the records name."""
    pods = _Pods()
    for pull in group.pulls:
        if pull.pod is not None and pull.container is not None:
            _add_pull(pods.find(pull.pod, pull.pod_uid), pull.container, pull)
    for row in group.pods:
        _add_status(pods.find(row.pod, row.pod_uid), row)
    unnamed = []  # of their uid
    for milestone in group.milestones:
        if milestone.pod is None:
            continue
        if milestone.pod_uid is None:
            unnamed.append(milestone)
        else:
            _add_milestone(pods.find(milestone.pod, milestone.pod_uid), milestone)
    for milestone in unnamed:
        _add_milestone(pods.named(milestone), milestone)
    return list(pods)


class _Pods:
    """The pods found so far, by uid, or by name where they have none."""

    def __init__(self) -> None:
        self._by_identity: dict[str, GatheredPod] = {}
        self._by_name: dict[str, list[GatheredPod]] = defaultdict(list)

    def __iter__(self) -> Iterator[GatheredPod]:
        return iter(self._by_identity.values())

    def find(self, name: str, uid: str | None) -> GatheredPod:
        identity = uid or f"/{name}"
        pod = self._by_identity.get(identity)
        if pod is None:
            pod = self._by_identity[identity] = GatheredPod(name, uid or None)
            self._by_name[name].append(pod)
        return pod

    def named(self, milestone: Milestone) -> GatheredPod:
        """Of several pods of the name, the one that began next: what names no uid tells that a pod was made."""
        assert milestone.pod is not None  # gather_pods looked
        namesakes = self._by_name.get(milestone.pod, ())
        if len(namesakes) < 2:
            return namesakes[0] if namesakes else self.find(milestone.pod, None)
        return _next_begun(namesakes, milestone.at)


def _next_begun(pods: Iterable[GatheredPod], at: datetime) -> GatheredPod:
    begun = [(pod.first_at or at, pod) for pod in pods]
    later = [pair for pair in begun if pair[0] >= at.replace(microsecond=0)]
    return min(later, default=begun[-1], key=lambda pair: pair[0])[1]


def _add_pull(pod: GatheredPod, name: str, pull: PullRecord) -> None:
    pod.run, pod.size = pull.run, pull.size
    pod.namespace = pod.namespace or pull.namespace
    pod.node = pod.node or pull.node
    pod.seen(pull.started_at or pull.finished_at)
    container = pod.container(name)
    container.image = container.image or pull.image
    container.pulls.append(pull)


def _add_status(pod: GatheredPod, row: PodWitness) -> None:
    pod.node = pod.node or row.node
    container = pod.container(row.container)
    container.image = container.image or row.image
    for times, moment, at, clock in (
        (pod.times, Moment.POD_CREATED, row.created_at, CONTROL_PLANE),
        (pod.times, Moment.SCHEDULED, row.scheduled_at, CONTROL_PLANE),
        (container.times, Moment.STARTED, row.started_at, row.node or "unknown"),
        (container.times, Moment.FINISHED, row.finished_at, row.node or "unknown"),
    ):
        if at is not None:
            pod.seen(at)
            keep_finest(times, moment, Timestamp(at, STATUS_SECONDS, Witness.POD, clock))


def _add_milestone(pod: GatheredPod, milestone: Milestone) -> None:
    if pod.run is None:
        pod.run = milestone.run
    if pod.size is None:
        pod.size = milestone.size
    pod.namespace = pod.namespace or milestone.namespace
    pod.job_uid = pod.job_uid or milestone.job_uid
    pod.node = pod.node or milestone.node
    pod.seen(milestone.at)
    times = pod.times if milestone.container is None else pod.container(milestone.container).times
    keep_finest(times, milestone.moment, timestamp_of(milestone))
