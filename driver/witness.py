"""The second witness: what pods' and the job's own status tell, whether or not an event told it too.

Pure. Status has whole seconds and no durations of pulls; what it does not tell stays None.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from driver.objects import Container, ContainerStatus, Job, Pod
from pulls.cache import CacheState
from pulls.decode import Origin
from pulls.image import parse_image
from pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pulls.record import Outcome, PullRecord, witness_uid
from store.ledger import PodWitness

JOB_WITNESS_PREFIX = "job-status:"
INDEX_KEY = "batch.kubernetes.io/job-completion-index"  # an annotation, and since Kubernetes 1.28 a label


def completion_index(pod: Pod) -> str:
    """Which of the job's indexes the pod is for; the pod's name tells it where nothing else does."""
    metadata = pod.metadata
    return metadata.annotations.get(INDEX_KEY) or metadata.labels.get(INDEX_KEY) or metadata.name.split("-")[-2]


def pod_witnesses(pods: Iterable[Pod], origin: Origin, job: str) -> list[PodWitness]:
    """One row a container of each pod."""
    return [
        _witness(pod, container, origin.cluster, job)
        for pod in pods
        for container in pod.spec.containers or (Container(name=""),)
    ]


def _witness(pod: Pod, container: Container, cluster: str, job: str) -> PodWitness:
    status = _status_of(pod, container.name)
    waiting, ended = status.state.waiting, status.state.terminated
    running = status.state.running
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
        started_at=ended.started_at if ended else running.started_at if running else None,
        finished_at=ended.finished_at if ended else None,
        waiting_reason=waiting.reason or None if waiting else None,
        waiting_message=waiting.message or None if waiting else None,
        exit_code=ended.exit_code if ended else None,
    )


def _status_of(pod: Pod, container: str) -> ContainerStatus:
    found = (status for status in pod.status.container_statuses if status.name == container)
    return next(found, ContainerStatus(name=container))


def _scheduled_at(pod: Pod) -> datetime | None:
    found = (c.last_transition_time for c in pod.status.conditions if c.type == "PodScheduled" and c.true)
    return next(found, None)


def had_its_image(row: PodWitness) -> bool:
    """Whether the status proves that the image was on the node: a container has no imageID before."""
    return bool(row.image_id) or row.started_at is not None


def recovered_pulls(
    rows: Iterable[PodWitness],
    told: set[tuple[str, str]],
    before: Mapping[str, CacheState],
    origin: Origin,
    namespace: str,
) -> list[PullRecord]:
    """The pulls that pod status proves and no event told of; ``told`` has the (pod_uid, container) that events did.

    Whether it was pulled or already there is told by what the node held ``before`` the job: the first pod of a cold
    node pulled. ``finished_at`` is the container's start, which came after the pull's end; the durations stay unknown.
    """
    first_on_node: set[tuple[str | None, str | None]] = set()
    found = []
    for row in sorted(rows, key=lambda row: (row.started_at is None, row.started_at, row.pod_uid)):
        place = (row.node, row.image)
        warm = before.get(row.node or "") is CacheState.WARM or place in first_on_node
        if had_its_image(row):
            first_on_node.add(place)
            if (row.pod_uid, row.container) not in told:
                found.append(_recovered(row, Outcome.CACHED if warm else Outcome.PULLED, origin, namespace))
    return found


def _recovered(row: PodWitness, outcome: Outcome, origin: Origin, namespace: str) -> PullRecord:
    reference = parse_image(row.image or "")
    digest = (row.image_id or "").rpartition("@")[2]
    return PullRecord(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=row.node,
        namespace=namespace,
        job=row.job,
        pod=row.pod,
        pod_uid=row.pod_uid,
        container=row.container,
        image=row.image,
        repository=reference.repository or None,
        tag=reference.tag,
        digest=digest if digest.startswith("sha256:") else reference.digest,
        outcome=outcome,
        finished_at=row.started_at,
        count=1,
        event_uid=witness_uid(row.pod_uid, row.container),
    )


def status_milestones(job: Job, rows: Iterable[PodWitness], origin: Origin, namespace: str) -> list[Milestone]:
    """The moments that status tells, to the second; where events tell them finer, both are kept."""
    return [
        *_job_milestones(job, origin, namespace),
        *(m for row in rows for m in _pod_milestones(row, origin, namespace)),
    ]


def _job_milestones(job: Job, origin: Origin, namespace: str) -> list[Milestone]:
    base = Milestone(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        namespace=namespace,
        job=job.metadata.name,
        moment=Moment.JOB_CREATED,
        at=_EPOCH,
        resolution_seconds=1.0,
        witness=Witness.JOB,
        clock=CONTROL_PLANE,
        count=1,
        event_uid=f"{JOB_WITNESS_PREFIX}{job.metadata.uid}",
    )
    moments = {Moment.JOB_CREATED: job.metadata.creation_timestamp, Moment.JOB_COMPLETED: completed_at(job)}
    return [msgspec.structs.replace(base, moment=moment, at=at) for moment, at in moments.items() if at]


def _pod_milestones(row: PodWitness, origin: Origin, namespace: str) -> list[Milestone]:
    base = Milestone(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=row.node,
        namespace=namespace,
        job=row.job,
        pod=row.pod,
        pod_uid=row.pod_uid,
        container=row.container,
        moment=Moment.POD_CREATED,
        at=_EPOCH,
        resolution_seconds=1.0,
        witness=Witness.POD,
        clock=CONTROL_PLANE,
        count=1,
        event_uid=witness_uid(row.pod_uid, row.container),
    )
    node = row.node or "unknown"
    moments = (
        (Moment.POD_CREATED, row.created_at, CONTROL_PLANE),
        (Moment.SCHEDULED, row.scheduled_at, CONTROL_PLANE),
        (Moment.STARTED, row.started_at, node),
        (Moment.FINISHED, row.finished_at, node),
    )
    return [msgspec.structs.replace(base, moment=moment, at=at, clock=clock) for moment, at, clock in moments if at]


def completed_at(job: Job) -> datetime | None:
    """When the job ended, well or badly, by its own status."""
    ended = (c.last_transition_time for c in job.status.conditions if c.type == "Failed" and c.true)
    return job.status.completion_time or next(ended, None)


def nodes_shared(pods: Iterable[Pod]) -> list[str]:
    """The nodes on which the first pods of two indexes ran: there one pull warmed the cache for the other.

    A later pod of an index, made because the first failed, may meet another index's node that is done already.
    """
    first: dict[str, Pod] = {}
    for pod in pods:
        index = completion_index(pod)
        other = first.get(index)
        if other is None or _age(pod) < _age(other):
            first[index] = pod
    nodes = [pod.spec.node_name for pod in first.values() if pod.spec.node_name]
    return sorted({node for node in nodes if nodes.count(node) > 1})


def _age(pod: Pod) -> tuple[datetime, str]:
    return (pod.metadata.creation_timestamp or _EPOCH, pod.metadata.name)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
