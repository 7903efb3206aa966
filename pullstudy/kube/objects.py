"""What is read of Kubernetes objects, decoded straight from JSON bytes.

Only the fields that are used: the generated client's models take about thirty times as long to build.
Source: kubernetes ``core/v1``, ``batch/v1`` and ``meta/v1`` types.go.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

# A pod's own fields are the vocabulary's: the collector reads them too.
from pullstudy.pulls.pod import Condition, Metadata

T = TypeVar("T")


class _Object(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The API's names are the fields' in camelCase."""


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
            (toleration.get("effect") or self.effect) == self.effect
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
        keeps_off = (taint for taint in self.spec.taints if taint.effect in ("NoSchedule", "NoExecute"))
        return not self.spec.unschedulable and all(taint.tolerated(tolerations) for taint in keeps_off)


class ListMetadata(_Object, frozen=True):
    resource_version: str = ""
    continue_token: str | None = msgspec.field(name="continue", default=None)


class Page(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A LIST, or one page of it."""

    metadata: ListMetadata = ListMetadata()
    items: tuple[T, ...] | None = None  # Go writes an empty list as null

    @property
    def continue_token(self) -> str | None:
        return self.metadata.continue_token or None

    @property
    def objects(self) -> tuple[T, ...]:
        return self.items or ()
