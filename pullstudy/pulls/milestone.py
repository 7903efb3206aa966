"""Milestones: the moments of a job's and a pod's life between which the phases lie."""

from datetime import datetime
from enum import StrEnum

import msgspec


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


class Milestone(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One moment of one pod's (or job's) life. Identity is ``(event_uid, count, moment)``.

    ``clock`` names whose clock the time was read from: a node's name for what a kubelet says, ``control-plane``
    for the scheduler, the job controller and the API server. ``resolution_seconds`` is how fine the time is.
    """

    cluster: str
    run: str | None = None
    size: int | None = None
    node: str | None = None
    namespace: str | None = None
    job: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    container: str | None = None
    moment: Moment
    at: datetime
    resolution_seconds: float
    witness: Witness
    clock: str
    count: int
    event_uid: str


CONTROL_PLANE = "control-plane"
MILESTONE_COLUMNS: tuple[str, ...] = Milestone.__struct_fields__
