"""Pod status against events: which pulls happened and were never reported. Without I/O and without time of its own.

The kubelet's own limits drop events before the API server sees them (25 of one pod, then one every 300 s), and merge
others. A container's image ID proves that its pull ended all the same, the reason it waits for that one failed. What no
event has reported after a grace is asked of the API server once more, and then is a pull without an event.

Only what happened since ``since`` counts: the events of older pods may have expired before anybody watched.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from collector.recent import Recent
from collector.sources.reported import Reported, ReportedContainers
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.witness import (
    PodWitness,
    Start,
    container_witnesses,
    had_its_image,
    presumed_outcome,
    start_of,
    uid_of_events,
    waits_for_its_image,
)

Key = tuple[str, str, bool]  # pod_uid, container, whether it is of a failure


@dataclass(frozen=True)
class Pending:
    """A container whose pull no event has reported yet."""

    row: PodWitness
    namespace: str
    policy: str
    failed: bool
    due: float  # seconds of the monotonic clock: not reported by then, it is taken for lost

    @property
    def key(self) -> Key:
        return (self.row.pod_uid, self.row.container, self.failed)


class _Open(NamedTuple):
    """A pod with a container that is not settled."""

    created_at: datetime | None
    containers: frozenset[str]


@dataclass(frozen=True)
class Unreported:
    """A pull that pod status proves and no event reported."""

    row: PodWitness
    namespace: str
    outcome: Outcome


class Reconciler:
    """What pods say, held against what events reported."""

    def __init__(
        self,
        origin: Origin,
        reported: ReportedContainers,
        grace_seconds: float,
        since: datetime | None = None,
        *,
        places: int = 16_384,
    ) -> None:
        """``since`` as it was saved; None where nothing was watched before. ``places`` is how many images on nodes are
        remembered, twice over."""
        self._origin = origin
        self._reported = reported
        self._grace_seconds = grace_seconds
        self._since = since
        self._pending: dict[Key, Pending] = {}
        self._settled: dict[str, set[str]] = {}  # by uid of each pod that is there: its containers that are done with
        self._open: dict[str, _Open] = {}
        self._first: Recent[tuple[str | None, str | None], Start] = Recent(places)
        self._listed: set[str] | None = None  # while a list is under way: the pods that it has brought
        self.complete = False  # a list of all pods has come
        self.accounted = 0  # containers whose pull an event reported

    def __len__(self) -> int:
        return len(self._settled)

    @property
    def waiting(self) -> int:
        """Containers whose pull no event has reported yet."""
        return len(self._pending)

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
        uid = uid_of_events(pod)
        if self._listed is not None:
            self._listed.add(uid)
        settled = self._settled.setdefault(uid, set())
        statuses = {status.name: status for status in pod.status.every_status()}
        if not settled >= statuses.keys():
            too_old = uid not in self._open and self._listed is not None and self._is_before(pod)
            for row, policy in container_witnesses(pod, self._origin.cluster):
                pending = Pending(row, pod.metadata.namespace, policy, False, now + self._grace_seconds)
                self._look(pending, too_old=too_old)
        if statuses and settled >= statuses.keys():
            self._open.pop(uid, None)
        else:
            self._open[uid] = _Open(pod.metadata.creation_timestamp, frozenset(statuses))

    def _look(self, pending: Pending, *, too_old: bool) -> None:
        row, settled = pending.row, self._settled[pending.row.pod_uid]
        if row.container in settled:
            return
        if had_its_image(row):
            self._note_first(row)
            if too_old:
                settled.add(row.container)
            else:
                self._await(pending)
        elif waits_for_its_image(row) and _failure(row) not in settled:
            self._await(replace(pending, failed=True))

    def _await(self, pending: Pending) -> None:
        before = self._pending.get(pending.key)
        self._pending[pending.key] = replace(pending, due=before.due) if before else pending

    def _is_before(self, pod: Pod) -> bool:
        created = pod.metadata.creation_timestamp
        return self._since is not None and created is not None and created < self._since

    def _note_first(self, row: PodWitness) -> None:
        place, first = (row.node, row.image), start_of(row)
        if first is None:
            return
        known = self._first.get(place)
        if known is None or first < known:
            self._first.put(place, first)

    def gone(self, pod: Pod) -> None:
        """It is deleted. What is still to be reported of it is waited for."""
        self._forget(uid_of_events(pod))

    def _forget(self, uid: str) -> None:
        self._settled.pop(uid, None)
        self._open.pop(uid, None)

    # -- what is missing -------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Pending]:
        """Those whose grace is over, after what was reported meanwhile is settled."""
        for each in list(self._pending.values()):
            if self._is_reported(each, self._reported):
                self._settle_reported(each)
        return [pending for pending in self._pending.values() if pending.due <= now]

    def resolve(self, overdue: Iterable[Pending], by_server: ReportedContainers) -> list[Unreported]:
        """Those that the API server's own list of events does not report either, in order of their start."""
        found = []
        for pending in sorted(overdue, key=_by_start):
            if self._is_reported(pending, by_server) or self._is_reported(pending, self._reported):
                self._settle_reported(pending)
            else:
                self._settle(pending)
                found.append(Unreported(pending.row, pending.namespace, self._outcome(pending, by_server)))
        return found

    def _is_reported(self, pending: Pending, reported: ReportedContainers) -> bool:
        found = reported.of(pending.row)
        # A failure that was never reported matters no more once the image is there and reported: kubelets try again.
        return bool(found & Reported.PRESENT) or (pending.failed and bool(found & Reported.FAILED))

    def _settle_reported(self, pending: Pending) -> None:
        self.accounted += not pending.failed
        self._settle(pending)

    def _settle(self, pending: Pending) -> None:
        self._pending.pop(pending.key, None)
        uid = pending.row.pod_uid
        settled, still_open = self._settled.get(uid), self._open.get(uid)
        if settled is None:  # the pod is gone
            return
        settled.add(_failure(pending.row) if pending.failed else pending.row.container)
        if still_open is not None and settled >= still_open.containers:
            del self._open[uid]

    def _outcome(self, pending: Pending, by_server: ReportedContainers) -> Outcome:
        """Status proves that the image is there. Whether it was pulled, from what else is known, else presumed."""
        row = pending.row
        if pending.failed:
            return Outcome.FAILED
        asked = bool((self._reported.of(row) | by_server.of(row)) & Reported.PULLING)
        return presumed_outcome(row, pending.policy, self._first.get((row.node, row.image)), asked=asked)

    def unsettled_since(self, now: datetime) -> datetime:
        """From here on pods have to be looked at again, should this process end now."""
        times = [pod.created_at for pod in self._open.values() if pod.created_at is not None]
        return min([now, *times])


def _failure(row: PodWitness) -> str:
    return f"{row.container}/failed"


def _by_start(pending: Pending) -> tuple[bool, float, str, str]:
    at = pending.row.started_at
    return (at is None, at.timestamp() if at else 0.0, pending.row.pod_uid, pending.row.container)
