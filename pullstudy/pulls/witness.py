"""The second witness: what a pod's own status tells of its pulls, whether or not an event told it too.

Pure. Status has whole seconds and no durations of pulls; what it does not tell stays None. A record that is made of it
has an ``event_uid`` that begins with ``pod-status:``, so that no measured pull can be taken for it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.image import parse_image
from pullstudy.pulls.message import PULL_ERRORS
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.pod import Container, ContainerStatus, Pod
from pullstudy.pulls.pod_owner import belonging
from pullstudy.pulls.record import Outcome, PullRecord, witness_uid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What a kubelet gives as the reason of a container that waits for its image after a pull failed. The first one's
# message is the cause; ImagePullBackOff repeats it only from Kubernetes 1.32 on.
BACKOFF_REASON = "ImagePullBackOff"
FAILED_REASONS = PULL_ERRORS - {BACKOFF_REASON}

LONGEST_UID = 128  # characters; a UUID has 36
# Characters of a pod's texts: the API bounds neither images nor annotations.
LONGEST_TEXT = {"image": 1_024, "image_id": 1_024, "waiting_reason": 1_024, "waiting_message": 4_096}
MIRROR_KEYS = ("kubernetes.io/config.mirror", "kubernetes.io/config.hash")

Start = tuple[datetime, str, str]  # of a container: when, pod_uid, name


class PodWitness(msgspec.Struct, frozen=True, kw_only=True):
    """One container of one pod, by the pod's own status; ``job`` is empty where it belongs to none."""

    cluster: str
    job: str
    pod: str
    pod_uid: str
    container: str
    node: str | None = None
    image: str | None = None
    image_id: str | None = None
    phase: str | None = None
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None  # for the first time, where the status still tells it
    finished_at: datetime | None = None
    waiting_reason: str | None = None
    waiting_message: str | None = None
    exit_code: int | None = None
    job_uid: str | None = None
    owner: str | None = None  # the pod's controller, as Milestone has it


def container_witness(pod: Pod, container: Container, status: ContainerStatus, cluster: str, job: str) -> PodWitness:
    """What the pod's status tells of this container."""
    belongs = belonging(pod.metadata.name, pod.metadata.labels, pod.metadata.owner_references)
    waiting, ended = status.state.waiting, status.state.terminated
    return PodWitness(
        cluster=cluster,
        job=job,
        pod=pod.metadata.name,
        pod_uid=pod.metadata.uid,
        container=container.name,
        node=pod.spec.node_name,
        image=container.image or None,
        image_id=status.image_id or None,
        phase=pod.status.phase or None,
        created_at=pod.metadata.creation_timestamp,
        scheduled_at=_scheduled_at(pod),
        started_at=_first_started_at(status),
        finished_at=ended.finished_at if ended else None,
        waiting_reason=waiting.reason or None if waiting else None,
        waiting_message=waiting.message or None if waiting else None,
        exit_code=ended.exit_code if ended else None,
        job_uid=belongs.job_uid,
        owner=belongs.owner,
    )


def container_witnesses(pod: Pod, cluster: str) -> Iterator[tuple[PodWitness, str]]:
    """Of each container that has a status, with its pull policy; texts are cut to LONGEST_TEXT."""
    statuses = {status.name: status for status in pod.status.every_status()}
    meta = pod.metadata
    job = belonging(meta.name, meta.labels, meta.owner_references).job or ""
    uid = uid_of_events(pod)
    for container in pod.spec.every_container():
        status = statuses.get(container.name)
        if status is not None:
            row = _bounded(container_witness(pod, container, status, cluster, job))
            if uid != row.pod_uid:
                row = msgspec.structs.replace(row, pod_uid=uid)
            yield row, container.image_pull_policy


def uid_of_events(pod: Pod) -> str:
    """The uid that the pod's events name: a static pod's have that of its file on the node, not its mirror's."""
    mirror, own = (pod.metadata.annotations.get(key) for key in MIRROR_KEYS)
    return own if mirror and own and len(own) <= LONGEST_UID else pod.metadata.uid


def _bounded(row: PodWitness) -> PodWitness:
    texts = {name: getattr(row, name) or "" for name in LONGEST_TEXT}
    cut = {name: text[: LONGEST_TEXT[name]] for name, text in texts.items() if len(text) > LONGEST_TEXT[name]}
    return msgspec.structs.replace(row, **cut) if cut else row


def start_of(row: PodWitness) -> Start | None:
    """None where the status tells no start."""
    return None if row.started_at is None else (row.started_at, row.pod_uid, row.container)


def presumed_outcome(row: PodWitness, policy: str, first: Start | None, *, asked: bool = False) -> Outcome:
    """Status proves that the image is there. Whether it was pulled, from what else is known, else presumed.

    ``first`` is the first container that had the image on the node, ``asked`` whether an event tells of a pull's begin.
    """
    if asked or policy == "Always":
        return Outcome.PULLED
    own = start_of(row)
    later = first is not None and own is not None and first < own
    return Outcome.CACHED if later or policy == "Never" else Outcome.PULLED


def _scheduled_at(pod: Pod) -> datetime | None:
    found = (c.last_transition_time for c in pod.status.conditions if c.type == "PodScheduled" and c.true)
    return next(found, None)


def _first_started_at(status: ContainerStatus) -> datetime | None:
    # Status keeps the present and the last state: of more restarts the first start is not known any more.
    if status.restart_count == 0:
        return status.state.started_at
    return status.last_state.started_at if status.restart_count == 1 else None


def had_its_image(row: PodWitness) -> bool:
    """Whether the status proves that the image was on the node: a container has no imageID before."""
    return bool(row.image_id) or row.started_at is not None


def waits_for_its_image(row: PodWitness) -> bool:
    """Whether the status proves that a pull has failed."""
    return row.waiting_reason in FAILED_REASONS or row.waiting_reason == BACKOFF_REASON


def witnessed_pull(row: PodWitness, outcome: Outcome, origin: Origin, namespace: str | None) -> PullRecord:
    """The pull that status proves and no event told of: ``finished_at`` is the container's start, which came after the
    pull's end; the durations stay unknown. One that failed has its time and its attempts unknown too.

    The same container gives the same record, whoever makes it; a failure and what came of it later are two.
    """
    reference = parse_image(row.image or "")
    digest = (row.image_id or "").rpartition("@")[2]
    failed = outcome is Outcome.FAILED
    return PullRecord(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=row.node,
        namespace=namespace,
        job=row.job or None,
        pod=row.pod,
        pod_uid=row.pod_uid,
        container=row.container,
        image=row.image,
        repository=reference.repository or None,
        tag=reference.tag,
        digest=digest if digest.startswith("sha256:") else reference.digest,
        outcome=outcome,
        finished_at=None if failed else row.started_at,
        error=_error(row) if failed else None,
        count=1,
        event_uid=witness_uid(row.pod_uid, row.container, failed=failed),
    )


def _error(row: PodWitness) -> str | None:
    return ": ".join(part for part in (row.waiting_reason, row.waiting_message) if part) or None


def pod_milestones(rows: Iterable[PodWitness], origin: Origin, namespace: str | None) -> list[Milestone]:
    """The moments that status tells, to the second; where events tell them finer, both are kept."""
    return [milestone for row in rows for milestone in _milestones(row, origin, namespace)]


def _milestones(row: PodWitness, origin: Origin, namespace: str | None) -> list[Milestone]:
    base = Milestone(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=row.node,
        namespace=namespace,
        job=row.job or None,
        pod=row.pod,
        pod_uid=row.pod_uid,
        container=row.container,
        moment=Moment.POD_CREATED,
        at=EPOCH,
        resolution_seconds=1.0,
        witness=Witness.POD,
        clock=CONTROL_PLANE,
        count=1,
        event_uid=witness_uid(row.pod_uid, row.container),
        job_uid=row.job_uid,
        owner=row.owner,
    )
    node = row.node or "unknown"
    moments = (
        (Moment.POD_CREATED, row.created_at, CONTROL_PLANE),
        (Moment.SCHEDULED, row.scheduled_at, CONTROL_PLANE),
        (Moment.STARTED, row.started_at, node),
        (Moment.FINISHED, row.finished_at, node),
    )
    return [msgspec.structs.replace(base, moment=moment, at=at, clock=clock) for moment, at, clock in moments if at]
