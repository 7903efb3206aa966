"""Pods of a list as the second witness: the moments that their status tells, and the pulls that it proves."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.pod import Pod, decode_pod
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.witness import (
    LONGEST_UID,
    PodWitness,
    Start,
    container_witnesses,
    had_its_image,
    pod_milestones,
    presumed_outcome,
    start_of,
    waits_for_its_image,
    witnessed_pull,
)

MOST_CONTAINERS = 100_000  # whose pulls are remembered to the end, some 600 bytes each
_SHARED = ("cluster", "job", "container", "node", "image", "image_id", "phase", "waiting_reason", "job_uid", "owner")
_TIMES = ("created_at", "scheduled_at", "started_at", "finished_at")
Name = tuple[str | None, str | None, str | None]  # namespace, pod, container


class _Shape(msgspec.Struct):
    kind: str | None = None
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()


class _Specified(msgspec.Struct):
    containers: msgspec.Raw = msgspec.Raw()
    template: msgspec.Raw = msgspec.Raw()


_shape = msgspec.json.Decoder(_Shape).decode
_specified = msgspec.json.Decoder(_Specified).decode


class NoPodError(ValueError):
    """A pod that tells nothing that could be kept. ``str()`` is one line."""


def read_pod(text: bytes) -> Pod | None:
    """None where it is no pod; those of a PodList need not say it. Raises NoPodError, and what UNREADABLE names."""
    shape = _shape(text)
    if shape.kind not in ("Pod", None) or not (shape.spec and shape.status):
        return None
    if shape.kind is None and not _specified(shape.spec).containers:
        return None
    pod = decode_pod(text)
    uid = pod.metadata.uid
    if not uid or len(uid) > LONGEST_UID or not pod.metadata.name:
        raise NoPodError("a pod without a uid, by which it would be known again")
    return pod


class _Proved(msgspec.Struct, frozen=True, gc=False):
    """A container whose status tells what came of its pull."""

    row: PodWitness
    namespace: str | None
    policy: str


class ListedPods:
    """Of all files of an import: who was first on a node, and so pulled, is known at the end."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._proved: dict[tuple[str, str], _Proved] = {}
        self._first: dict[tuple[str | None, str | None], Start] = {}
        self._texts: dict[str, str] = {}
        self._told: set[Name] = set()  # by events that name no pod's uid, as those of tables
        self._first_event_at: datetime | None = None

    def add_event_pull(self, pull: PullRecord) -> None:
        """A pull that an event told of."""
        at = pull.finished_at
        if at is not None and (self._first_event_at is None or at < self._first_event_at):
            self._first_event_at = at
        if pull.pod_uid is None and len(self._told) < MOST_CONTAINERS:
            self._told.add((pull.namespace, pull.pod, pull.container))

    def add(self, pod: Pod) -> list[Milestone]:
        """The moments that its status tells. Raises NoPodError where that is not all that it tells."""
        namespace = pod.metadata.namespace or None
        found: list[Milestone] = []
        for row, policy in container_witnesses(pod, self._origin.cluster):
            row = _in_utc(row)
            found += pod_milestones([row], self._origin, namespace)
            if row.node is not None and (had_its_image(row) or waits_for_its_image(row)):
                self._remember(_Proved(row, namespace, policy))
        return found

    def _remember(self, proved: _Proved) -> None:
        row = proved.row
        if len(self._proved) >= MOST_CONTAINERS:
            raise NoPodError(f"the pulls of more than {MOST_CONTAINERS:,} containers are not remembered, moments are")
        row = self._with_shared_texts(row)
        self._proved[row.pod_uid, row.container] = msgspec.structs.replace(proved, row=row)
        start = start_of(row)
        if start is not None and had_its_image(row):
            place = (row.node, row.image)
            self._first[place] = min(self._first.get(place, start), start)

    def _with_shared_texts(self, row: PodWitness) -> PodWitness:
        """What other containers have too is held once."""
        texts = {name: self._texts.setdefault(text, text) for name in _SHARED if (text := getattr(row, name))}
        return msgspec.structs.replace(row, **texts)

    def pulls(self) -> Iterator[PullRecord]:
        """What status proves and no event of these files may have told; where one did, the store leaves it out."""
        for proved in self._proved.values():
            row = proved.row
            told = (proved.namespace, row.pod, row.container) in self._told
            if not told and (row.job or not self._is_before(row)):
                yield witnessed_pull(row, self._outcome(proved), self._origin, proved.namespace)

    def _is_before(self, row: PodWitness) -> bool:
        """Whether the pod is older than the events: what pulled for it was long ago, and may have been another life."""
        return self._first_event_at is not None and row.created_at is not None and row.created_at < self._first_event_at

    def _outcome(self, proved: _Proved) -> Outcome:
        row = proved.row
        if not had_its_image(row):
            return Outcome.FAILED
        return presumed_outcome(row, proved.policy, self._first.get((row.node, row.image)))


def _in_utc(row: PodWitness) -> PodWitness:
    try:
        times = {name: at.astimezone(UTC) for name in _TIMES if (at := getattr(row, name))}
    except OverflowError as error:  # the first and last hours that a date can have
        raise NoPodError("a pod with a time that is none in UTC") from error
    return msgspec.structs.replace(row, **times)
