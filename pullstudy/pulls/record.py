"""The record of a pull: one attempt of one kubelet to make one image present for one container."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """How an attempt ended, by the kubelet's own word."""

    PULLED = "pulled"  # bytes were asked of a registry and the image is there
    CACHED = "cached"  # the image was already on the node: nothing was pulled
    FAILED = "failed"
    BACKOFF = "backoff"  # the kubelet waits before it tries again


class PullRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one pull. Unknown is None (an empty cell in an export), never 0.

    The order of the fields is the order of the columns in every export and store.
    Identity is ``(event_uid, count)``: the same event seen twice, after a relist, a restart or a replay,
    is the same record. Odd durations (negative, absurd) stay as the kubelet wrote them.
    """

    cluster: str
    run: str | None = None
    size: int | None = None  # nodes in the cluster
    node: str | None = None
    namespace: str | None = None
    job: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    container: str | None = None
    image: str | None = None
    repository: str | None = None
    tag: str | None = None
    digest: str | None = None
    outcome: Outcome
    started_at: datetime | None = None  # finished_at less pull_seconds and waiting_seconds, where those are known
    finished_at: datetime | None = None  # when the kubelet said so, to the microsecond where the event's name tells it
    pull_seconds: float | None = None  # the first duration of the message
    waiting_seconds: float | None = None  # the second duration ("including waiting") less the first
    image_bytes: int | None = None
    error: str | None = None
    count: int
    event_uid: str

    @property
    def identity(self) -> tuple[str, int]:
        return (self.event_uid, self.count)


PULL_COLUMNS: tuple[str, ...] = PullRecord.__struct_fields__

WITNESS_PREFIX = "pod-status:"


def witness_uid(pod_uid: str, container: str, *, failed: bool = False) -> str:
    """The ``event_uid`` of a record that no event told of and pod status did: it can never meet an event's own uid.

    A failure has one of its own: what came of the pull later is another record.
    """
    return f"{WITNESS_PREFIX}{pod_uid}/{container}{'/failed' if failed else ''}"
