"""What the status of a job and of its pods says: their moments, and the pulls that no event reported. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from pullstudy.kube.objects import Job
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.pod import Container, ContainerStatus, Pod
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.witness import EPOCH, PodWitness, container_witness, had_its_image, pod_milestones, witnessed_pull

JOB_STATUS_PREFIX = "job-status:"
INDEX_KEY = "batch.kubernetes.io/job-completion-index"  # an annotation, and since Kubernetes 1.28 a label


def completion_index(pod: Pod) -> str:
    """Which of the job's indexes the pod is for; the pod's name has it where nothing else does."""
    metadata = pod.metadata
    return metadata.annotations.get(INDEX_KEY) or metadata.labels.get(INDEX_KEY) or metadata.name.split("-")[-2]


def pod_witnesses(pods: Iterable[Pod], origin: Origin, job: str) -> list[PodWitness]:
    """One row a container of each pod."""
    return [
        container_witness(pod, container, _status_of(pod, container.name), origin.cluster, job)
        for pod in pods
        for container in pod.spec.containers or (Container(name=""),)
    ]


def _status_of(pod: Pod, container: str) -> ContainerStatus:
    found = (status for status in pod.status.container_statuses if status.name == container)
    return next(found, ContainerStatus(name=container))


def recovered_pulls(
    rows: Iterable[PodWitness],
    by_event: set[tuple[str, str]],
    before: Mapping[str, CacheState],
    origin: Origin,
    namespace: str,
) -> list[PullRecord]:
    """The pulls that pod status proves and no event reported; ``by_event``: those it did, as (pod_uid, container).

    Whether it was pulled or already there follows from what the node held ``before`` the job: the first pod of a cold
    node pulled.
    """
    first_on_node: set[tuple[str | None, str | None]] = set()
    found = []
    for row in sorted(rows, key=lambda row: (row.started_at is None, row.started_at, row.pod_uid)):
        place = (row.node, row.image)
        warm = before.get(row.node or "") is CacheState.WARM or place in first_on_node
        if had_its_image(row):
            first_on_node.add(place)
            if (row.pod_uid, row.container) not in by_event:
                found.append(witnessed_pull(row, Outcome.CACHED if warm else Outcome.PULLED, origin, namespace))
    return found


def status_milestones(job: Job, rows: Iterable[PodWitness], origin: Origin, namespace: str) -> list[Milestone]:
    """The moments in the status of the job and of its pods, to the second."""
    return [
        *_job_milestones(job, origin, namespace),
        *pod_milestones(rows, origin, namespace),
    ]


def _job_milestones(job: Job, origin: Origin, namespace: str) -> list[Milestone]:
    base = Milestone(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        namespace=namespace,
        job=job.metadata.name,
        moment=Moment.JOB_CREATED,
        at=EPOCH,
        resolution_seconds=1.0,
        witness=Witness.JOB,
        clock=CONTROL_PLANE,
        count=1,
        event_uid=f"{JOB_STATUS_PREFIX}{job.metadata.uid}",
        job_uid=job.metadata.uid,
    )
    moments = {Moment.JOB_CREATED: job.metadata.creation_timestamp, Moment.JOB_COMPLETED: completed_at(job)}
    return [msgspec.structs.replace(base, moment=moment, at=at) for moment, at in moments.items() if at]


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
    nodes = Counter(pod.spec.node_name for pod in first.values() if pod.spec.node_name)
    return sorted(node for node, pods_there in nodes.items() if pods_there > 1)


def _age(pod: Pod) -> tuple[datetime, str]:
    return (pod.metadata.creation_timestamp or EPOCH, pod.metadata.name)
