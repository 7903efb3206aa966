"""The pod as JSON bytes bring it: only the fields that tell of its images and of the moments of its life.

Everything is optional, because everything was seen missing. Source: kubernetes ``core/v1`` and ``meta/v1`` types.go.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from pullstudy.pulls.pod_owner import OwnerReference

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Object(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The API's names are the fields' in camelCase."""


class Metadata(_Object, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Condition(_Object, frozen=True):
    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: Time | None = None

    @property
    def true(self) -> bool:
        return self.status == "True"


class Waiting(_Object, frozen=True):
    reason: str = ""
    message: str = ""


class Running(_Object, frozen=True):
    started_at: Time | None = None


class Terminated(_Object, frozen=True):
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None


class ContainerState(_Object, frozen=True):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None

    @property
    def started_at(self) -> datetime | None:
        if self.terminated is not None:
            return self.terminated.started_at
        return self.running.started_at if self.running is not None else None


class ContainerStatus(_Object, frozen=True):
    name: str
    image: str = ""
    image_id: str = msgspec.field(name="imageID", default="")
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    restart_count: int = 0


class Container(_Object, frozen=True):
    name: str
    image: str = ""
    image_pull_policy: str = ""


class PodSpec(_Object, frozen=True):
    node_name: str | None = None
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()

    def every_container(self) -> Iterator[Container]:
        """Those of init and debugging too: each of them needs an image. Names are unique among all of them."""
        yield from self.init_containers
        yield from self.containers
        yield from self.ephemeral_containers


class PodStatus(_Object, frozen=True):
    phase: str = ""
    reason: str = ""  # of the pod as a whole: Evicted, NodeLost
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()

    def every_status(self) -> Iterator[ContainerStatus]:
        yield from self.init_container_statuses
        yield from self.container_statuses
        yield from self.ephemeral_container_statuses


class Pod(_Object, frozen=True):
    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


decode_pod = msgspec.json.Decoder(Pod).decode
