"""What the driver reads of Kubernetes objects, decoded straight from JSON bytes.

Only the fields that are used: the generated client's models take about thirty times as long to build.
Source: kubernetes ``core/v1``, ``batch/v1`` and ``meta/v1`` types.go.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class _Object(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The API's names are the fields' in camelCase."""


class Metadata(_Object, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Condition(_Object, frozen=True):
    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None

    @property
    def true(self) -> bool:
        return self.status == "True"


class Waiting(_Object, frozen=True):
    reason: str = ""
    message: str = ""


class Running(_Object, frozen=True):
    started_at: datetime | None = None


class Terminated(_Object, frozen=True):
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(_Object, frozen=True):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Object, frozen=True):
    name: str
    image: str = ""
    image_id: str = msgspec.field(name="imageID", default="")
    state: ContainerState = ContainerState()


class Container(_Object, frozen=True):
    name: str
    image: str = ""


class PodSpec(_Object, frozen=True):
    node_name: str | None = None
    containers: tuple[Container, ...] = ()


class PodStatus(_Object, frozen=True):
    phase: str = ""
    reason: str = ""  # of the pod as a whole: Evicted, NodeLost
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(_Object, frozen=True):
    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class JobStatus(_Object, frozen=True):
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    completion_time: datetime | None = None
    conditions: tuple[Condition, ...] = ()


class Job(_Object, frozen=True):
    metadata: Metadata = Metadata()
    status: JobStatus = JobStatus()


class NodeImage(_Object, frozen=True):
    names: tuple[str, ...] | None = None  # a dangling image's is null
    size_bytes: int = 0


class NodeStatus(_Object, frozen=True):
    conditions: tuple[Condition, ...] = ()
    images: tuple[NodeImage, ...] | None = None
    node_info: dict[str, Any] = {}
    capacity: dict[str, str] = {}


class Taint(_Object, frozen=True):
    key: str
    value: str = ""
    effect: str = ""

    def tolerated(self, tolerations: Sequence[Mapping[str, Any]]) -> bool:
        """Whether one of a pod's tolerations matches it. Source: component-helpers ``ToleratesTaint``."""
        return any(
            toleration.get("effect", self.effect) == self.effect
            and (toleration.get("key", "") in ("", self.key))
            and (toleration.get("operator") == "Exists" or toleration.get("value", "") == self.value)
            for toleration in tolerations
        )


class NodeSpec(_Object, frozen=True):
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False


class Node(_Object, frozen=True):
    metadata: Metadata = Metadata()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def ready(self) -> bool:
        return any(condition.type == "Ready" and condition.true for condition in self.status.conditions)

    @property
    def takes_pods(self) -> bool:
        return self.takes(())

    def takes(self, tolerations: Sequence[Mapping[str, Any]]) -> bool:
        """Whether pods with these tolerations may be put on it."""
        keeps_off = (taint for taint in self.spec.taints if taint.effect == "NoSchedule")
        return not self.spec.unschedulable and all(taint.tolerated(tolerations) for taint in keeps_off)


class ListMetadata(_Object, frozen=True):
    resource_version: str = ""
    continue_token: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A LIST, or one page of it."""

    metadata: ListMetadata = ListMetadata()
    items: tuple[T, ...] | None = None  # Go writes an empty list as null

    @property
    def objects(self) -> tuple[T, ...]:
        return self.items or ()


class WatchLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch; what its object is depends on the type."""

    type: str
    object: msgspec.Raw


class Status(_Object, frozen=True):
    """What the API server says instead of an object."""

    code: int = 0
    reason: str = ""
    message: str = ""
