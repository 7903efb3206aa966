"""Pod status against events: which pulls happened and were never told. Without I/O and without time of its own.

The kubelet's own limits drop events before the API server sees them (25 of one pod, then one every 300 s), and merge
others. A container's image ID proves that its pull ended all the same, the reason it waits for that one failed. What no
event has told after a grace is asked of the API server once more, and then is a pull without an event.

Only what happened since ``since`` counts: the events of older pods may have expired before anybody watched.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import msgspec

from collector.recent import Recent
from collector.reconciling.told import Tale, Told
from pullstudy.pulls.decode import Origin, job_of_pod
from pullstudy.pulls.pod import ContainerStatus, Pod
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.witness import PodWitness, container_witness, had_its_image, waits_for_its_image

MIRROR_KEYS = ("kubernetes.io/config.mirror", "kubernetes.io/config.hash")
JOB_LABEL = "batch.kubernetes.io/job-name"

Key = tuple[str, str, bool]  # pod_uid, container, whether it is of a failure
_First = tuple[datetime, str, str]  # the first container that had the image on the node: started_at, pod_uid, name


@dataclass(frozen=True)
class Suspect:
    """A container of whose pull no event has told yet."""

    row: PodWitness
    namespace: str
    policy: str
    failed: bool
    due: float  # seconds of the monotonic clock: not told by then, it is taken for lost

    @property
    def key(self) -> Key:
        return (self.row.pod_uid, self.row.container, self.failed)


class _Open(NamedTuple):
    """A pod with a container that is not settled."""

    created_at: datetime | None
    containers: frozenset[str]


@dataclass(frozen=True)
class Untold:
    """A pull that pod status proves and no event told of."""

    row: PodWitness
    namespace: str
    outcome: Outcome


class Reconciler:
    """What pods said, held against what events told."""

    def __init__(
        self, origin: Origin, told: Told, grace_seconds: float, since: datetime | None = None, *, places: int = 16_384
    ) -> None:
        """``since`` as it was saved; None where nothing was watched before. ``places`` is how many images on nodes are
        remembered, twice over."""
        self._origin = origin
        self._told = told
        self._grace_seconds = grace_seconds
        self._since = since
        self._suspects: dict[Key, Suspect] = {}
        self._settled: dict[str, set[str]] = {}  # by uid of each pod that is there: its containers that are done with
        self._open: dict[str, _Open] = {}
        self._first: Recent[tuple[str | None, str | None], _First] = Recent(places)
        self._listed: set[str] | None = None  # while a list is under way: the pods that it has brought
        self.complete = False  # a list of all pods has come
        self.accounted = 0  # containers whose pull an event told of

    def __len__(self) -> int:
        return len(self._settled)

    @property
    def waiting(self) -> int:
        """Containers of whose pull no event has told yet."""
        return len(self._suspects)

    # -- pods ------------------------------------------------------------------------------------------------------

    def list_begins(self, server_time: datetime) -> None:
        """The first page of a list came, at this time of the API server's clock."""
        self._listed = set()
        if self._since is None:
            self._since = server_time

    def list_ends(self) -> None:
        """The list is complete: every other pod is gone."""
        for uid in self._settled.keys() - (self._listed or set()):
            self._forget(uid)
        self._listed, self.complete = None, True

    def see(self, pod: Pod, now: float) -> None:
        """A pod as it is now."""
        uid = _uid_of_events(pod)
        if self._listed is not None:
            self._listed.add(uid)
        settled = self._settled.setdefault(uid, set())
        statuses = {status.name: status for status in pod.status.every_status()}
        if not settled >= statuses.keys():
            too_old = uid not in self._open and self._listed is not None and self._is_before(pod)
            for row, policy in self._rows(pod, statuses):
                suspect = Suspect(row, pod.metadata.namespace, policy, False, now + self._grace_seconds)
                self._look(suspect, too_old=too_old)
        if statuses and settled >= statuses.keys():
            self._open.pop(uid, None)
        else:
            self._open[uid] = _Open(pod.metadata.creation_timestamp, frozenset(statuses))

    def _look(self, suspect: Suspect, *, too_old: bool) -> None:
        row, settled = suspect.row, self._settled[suspect.row.pod_uid]
        if row.container in settled:
            return
        if had_its_image(row):
            self._note_first(row)
            if too_old:
                settled.add(row.container)
            else:
                self._suspect(suspect)
        elif waits_for_its_image(row) and _failure(row) not in settled:
            self._suspect(replace(suspect, failed=True))

    def _suspect(self, suspect: Suspect) -> None:
        before = self._suspects.get(suspect.key)
        self._suspects[suspect.key] = replace(suspect, due=before.due) if before else suspect

    def _is_before(self, pod: Pod) -> bool:
        created = pod.metadata.creation_timestamp
        return self._since is not None and created is not None and created < self._since

    def _rows(self, pod: Pod, statuses: dict[str, ContainerStatus]) -> Iterator[tuple[PodWitness, str]]:
        job = pod.metadata.labels.get(JOB_LABEL) or job_of_pod(pod.metadata.name) or ""
        uid = _uid_of_events(pod)
        for container in pod.spec.every_container():
            status = statuses.get(container.name)
            if status is not None:
                row = container_witness(pod, container, status, self._origin.cluster, job)
                yield (
                    row if uid == row.pod_uid else msgspec.structs.replace(row, pod_uid=uid),
                    (container.image_pull_policy),
                )

    def _note_first(self, row: PodWitness) -> None:
        if row.started_at is None:
            return
        place, first = (row.node, row.image), (row.started_at, row.pod_uid, row.container)
        known = self._first.get(place)
        if known is None or first < known:
            self._first.put(place, first)

    def gone(self, pod: Pod) -> None:
        """It is deleted. What is still to be told of it is waited for."""
        self._forget(_uid_of_events(pod))

    def _forget(self, uid: str) -> None:
        self._settled.pop(uid, None)
        self._open.pop(uid, None)

    # -- what is missing -------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Suspect]:
        """Those whose grace is over, after what was told meanwhile is settled."""
        for suspect in list(self._suspects.values()):
            if self._is_told(suspect, self._told):
                self._settle_told(suspect)
        return [suspect for suspect in self._suspects.values() if suspect.due <= now]

    def resolve(self, suspects: Iterable[Suspect], by_server: Told) -> list[Untold]:
        """Those of which the API server's own list of events does not tell either, in order of their start."""
        found = []
        for suspect in sorted(suspects, key=_by_start):
            if self._is_told(suspect, by_server) or self._is_told(suspect, self._told):
                self._settle_told(suspect)
            else:
                self._settle(suspect)
                found.append(Untold(suspect.row, suspect.namespace, self._outcome(suspect, by_server)))
        return found

    def _is_told(self, suspect: Suspect, told: Told) -> bool:
        tale = told.of(suspect.row)
        # A failure that was never told matters no more once the image is there and told: kubelets try again.
        return bool(tale & Tale.PRESENT) or (suspect.failed and bool(tale & Tale.FAILED))

    def _settle_told(self, suspect: Suspect) -> None:
        self.accounted += not suspect.failed
        self._settle(suspect)

    def _settle(self, suspect: Suspect) -> None:
        self._suspects.pop(suspect.key, None)
        uid = suspect.row.pod_uid
        settled, still_open = self._settled.get(uid), self._open.get(uid)
        if settled is None:  # the pod is gone
            return
        settled.add(_failure(suspect.row) if suspect.failed else suspect.row.container)
        if still_open is not None and settled >= still_open.containers:
            del self._open[uid]

    def _outcome(self, suspect: Suspect, by_server: Told) -> Outcome:
        """Status proves that the image is there. Whether it was pulled is told by what else is known, else presumed."""
        row = suspect.row
        if suspect.failed:
            return Outcome.FAILED
        if (self._told.of(row) | by_server.of(row)) & Tale.PULLING or suspect.policy == "Always":
            return Outcome.PULLED
        first = self._first.get((row.node, row.image))
        later = (
            first is not None and row.started_at is not None and first < (row.started_at, row.pod_uid, row.container)
        )
        return Outcome.CACHED if later or suspect.policy == "Never" else Outcome.PULLED

    def unsettled_since(self, now: datetime) -> datetime:
        """From here on pods have to be looked at again, should this process end now."""
        times = [pod.created_at for pod in self._open.values() if pod.created_at is not None]
        return min([now, *times])


def _uid_of_events(pod: Pod) -> str:
    # A static pod's events have the uid of its file on the node, not that of its mirror in the API.
    mirror, own = (pod.metadata.annotations.get(key) for key in MIRROR_KEYS)
    return own if mirror and own else pod.metadata.uid


def _failure(row: PodWitness) -> str:
    return f"{row.container}/failed"


def _by_start(suspect: Suspect) -> tuple[bool, float, str, str]:
    at = suspect.row.started_at
    return (at is None, at.timestamp() if at else 0.0, suspect.row.pod_uid, suspect.row.container)
