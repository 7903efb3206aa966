"""The record of a pull: one attempt of one kubelet to make one image present for one container."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from pullstudy.pulls.kind import Record


class Outcome(StrEnum):
    """How an attempt ended, by the kubelet's own word."""

    PULLED = "pulled"  # bytes were asked of a registry and the image is there
    CACHED = "cached"  # the image was already on the node: nothing was pulled
    FAILED = "failed"
    BACKOFF = "backoff"  # the kubelet waits before it tries again


class PullRecord(Record, frozen=True, kw_only=True, gc=False):
    """What is known of one pull. Unknown is None (an empty cell in an export), never 0.

    The order of the fields is the order of the columns in every export.
    Identity is ``(cluster, event_uid, count)``: the same event seen twice, after a relist, a restart or a replay,
    is the same record. Odd durations (negative, absurd) stay as the kubelet wrote them.
    """

    run: Annotated[str | None, Meta(description="the run; empty where it belongs to none")] = None
    size: Annotated[int | None, Meta(description="nodes in the cluster")] = None
    node: Annotated[str | None, Meta(description="the node whose kubelet pulled")] = None
    namespace: Annotated[str | None, Meta(description="of the pod")] = None
    job: Annotated[str | None, Meta(description="the pod's job")] = None
    pod: Annotated[str | None, Meta(description="the pod's name")] = None
    pod_uid: Annotated[str | None, Meta(description="the pod's uid")] = None
    container: Annotated[str | None, Meta(description="for which container of the pod")] = None
    image: Annotated[str | None, Meta(description="as the kubelet names it")] = None
    repository: Annotated[str | None, Meta(description="the image's, without tag and digest")] = None
    tag: Annotated[str | None, Meta(description="the image's tag")] = None
    digest: Annotated[str | None, Meta(description="the image's digest")] = None
    outcome: Annotated[Outcome, Meta(description="`pulled`, `cached`, `failed` or `backoff`")]
    started_at: Annotated[
        datetime | None, Meta(description="finished_at less pull_seconds and waiting_seconds, where those are known")
    ] = None
    finished_at: Annotated[
        datetime | None,
        Meta(description="when the kubelet said so, to the microsecond where the event's name tells it"),
    ] = None
    pull_seconds: Annotated[float | None, Meta(description="the first duration of the kubelet's message")] = None
    waiting_seconds: Annotated[
        float | None,
        Meta(
            description='the second duration ("including waiting") less the first; empty where the message has one '
            "duration (kubelets before 1.26): that includes the waiting"
        ),
    ] = None
    image_bytes: Annotated[
        int | None, Meta(description="as the kubelet says, from Kubernetes 1.30 on; empty before")
    ] = None
    error: Annotated[str | None, Meta(description="of a failed pull")] = None
    count: Annotated[int, Meta(description="how often the event was seen; with cluster and event_uid the identity")]
    event_uid: Annotated[
        str, Meta(description="of the event that told of it; `pod-status:...` where only the pod's status did")
    ]

    @property
    def identity(self) -> tuple[str, str, int]:
        return (self.cluster, self.event_uid, self.count)


PULL_COLUMNS: tuple[str, ...] = PullRecord.__struct_fields__

WITNESS_PREFIX = "pod-status:"


def witness_uid(pod_uid: str, container: str, *, failed: bool = False) -> str:
    """The ``event_uid`` of a record that no event told of and pod status did: it can never meet an event's own uid.

    A failure has one of its own: what came of the pull later is another record.
    """
    return f"{WITNESS_PREFIX}{pod_uid}/{container}{'/failed' if failed else ''}"
