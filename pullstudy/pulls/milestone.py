"""Milestones: the moments of a job's and a pod's life between which the phases lie."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from pullstudy.pulls.kind import Record


class Moment(StrEnum):
    """In the order in which they come."""

    JOB_CREATED = "job_created"
    POD_CREATED = "pod_created"
    SCHEDULED = "scheduled"
    PULLING = "pulling"
    PULLED = "pulled"
    CREATED = "created"
    STARTED = "started"
    FINISHED = "finished"
    JOB_COMPLETED = "job_completed"


class Witness(StrEnum):
    """Whose word the time is."""

    EVENT_NAME = "event-name"  # the nanoseconds in the event's own name
    EVENT = "event"  # its timestamp, whole seconds (microseconds for eventTime)
    POD = "pod"  # pod metadata or status, whole seconds
    JOB = "job"  # job metadata or status, whole seconds


class Milestone(Record, frozen=True, kw_only=True, gc=False):
    """One moment of one pod's (or job's) life. Identity is ``(cluster, event_uid, count, moment)``.

    ``clock`` names whose clock the time was read from: a node's name for what a kubelet says, ``control-plane``
    for the scheduler, the job controller and the API server. ``resolution_seconds`` is how fine the time is.
    """

    run: Annotated[str | None, Meta(description="the run; empty where it belongs to none")] = None
    size: Annotated[int | None, Meta(description="nodes in the cluster")] = None
    node: Annotated[str | None, Meta(description="the pod's node, where it has one")] = None
    namespace: Annotated[str | None, Meta(description="of the pod")] = None
    job: Annotated[str | None, Meta(description="the pod's job")] = None
    pod: Annotated[str | None, Meta(description="the pod's name")] = None
    pod_uid: Annotated[str | None, Meta(description="the pod's uid")] = None
    container: Annotated[str | None, Meta(description="of the pod, where the moment is a container's")] = None
    moment: Annotated[
        Moment,
        Meta(
            description="`job_created`, `pod_created`, `scheduled`, `pulling`, `pulled`, `created`, `started`, "
            "`finished` or `job_completed`"
        ),
    ]
    at: Annotated[datetime, Meta(description="when")]
    resolution_seconds: Annotated[float, Meta(description="how fine the time is")]
    witness: Annotated[Witness, Meta(description="whose word it is: `event-name`, `event`, `pod` or `job`")]
    clock: Annotated[str, Meta(description="whose clock it was read from: a node's name, or `control-plane`")]
    count: Annotated[int, Meta(description="how often the event was seen")]
    event_uid: Annotated[str, Meta(description="of the event, or of what stands for one")]
    job_uid: Annotated[
        str | None, Meta(description="the job's uid, where the event or the status tells it: jobs may share a name")
    ] = None
    owner: Annotated[
        str | None,
        Meta(
            description="the pod's controller, as `ReplicaSet/web-6bf9c87d4d`, where the event or the status tells it"
        ),
    ] = None

    @property
    def event(self) -> tuple[str, str, int]:
        """What told of it, as ``PullRecord.identity``: one event may tell of several moments."""
        return (self.cluster, self.event_uid, self.count)


CONTROL_PLANE = "control-plane"
