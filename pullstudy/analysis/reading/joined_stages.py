"""The kubelet's event of a pull whose inside a runtime told: by the pod, or by node, image and time.

The rule: the two are of one image. Where the runtime's trace is below a kubelet's, so that it names the pod, the event
is that pod's. Else it is of the same node, and was made from 1 s before to 5 s after the runtime's answer: both times
are of one clock, the event follows the answer, and may be cut to the second. Of several the nearest, in its end and its
length together. No event is taken twice.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pullstudy.pulls.image import full_reference
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.record import Outcome, PullRecord

BEFORE, AFTER = timedelta(seconds=1), timedelta(seconds=5)  # of an event of the same node
POD_AFTER = timedelta(seconds=60)  # of an event of the same pod


class JoinedBy(StrEnum):
    """What tells that event and stages are of one pull."""

    POD = "pod"
    NODE = "node"  # with image and time


@dataclass(frozen=True, slots=True)
class JoinedStages:
    """A pull's inside, and what its kubelet said of it, where that is known."""

    stages: PullStages
    pull: PullRecord | None = None
    by: JoinedBy | None = None


def joined_stages(stages: Iterator[PullStages], pulls: Iterator[PullRecord]) -> Iterator[JoinedStages]:
    """Both in the order of a store. Held are the pulls of one minute."""
    near = _Near(pulls)
    for each in stages:
        candidates = [(by, pull) for pull in near.around(each) if (by := _joins(each, pull)) is not None]
        exact = [(by, pull) for by, pull in candidates if by is JoinedBy.POD] or candidates
        if not exact:
            yield JoinedStages(each)
            continue
        by, pull = min(exact, key=lambda found: _distance_seconds(each, found[1]))
        near.take(pull)
        yield JoinedStages(each, pull, by)


class _Near:
    """The pulls around a moment that goes on, cluster by cluster."""

    def __init__(self, pulls: Iterator[PullRecord]) -> None:
        self._coming = (pull for pull in pulls if pull.finished_at and pull.outcome in (Outcome.PULLED, Outcome.FAILED))
        self._next = next(self._coming, None)
        self._held: deque[PullRecord] = deque()

    def around(self, stages: PullStages) -> list[PullRecord]:
        until = (stages.cluster, stages.finished_at + POD_AFTER)
        while (pull := self._next) is not None and pull.finished_at and (pull.cluster, pull.finished_at) <= until:
            self._held.append(pull)
            self._next = next(self._coming, None)
        since = (stages.cluster, stages.finished_at - BEFORE)
        while self._held and self._held[0].finished_at and (self._held[0].cluster, self._held[0].finished_at) < since:
            self._held.popleft()
        return list(self._held)

    def take(self, pull: PullRecord) -> None:
        self._held.remove(pull)


def _joins(stages: PullStages, pull: PullRecord) -> JoinedBy | None:
    if pull.finished_at is None or pull.cluster != stages.cluster or not _same_image(stages.image, pull.image):
        return None
    after = pull.finished_at - stages.finished_at
    if stages.pod_uid is not None:
        return JoinedBy.POD if stages.pod_uid == pull.pod_uid else None
    same_node = stages.node is not None and stages.node == pull.node
    return JoinedBy.NODE if same_node and -BEFORE <= after <= AFTER else None


def _same_image(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    return one == other or full_reference(one).same_image(full_reference(other))


def _distance_seconds(stages: PullStages, pull: PullRecord) -> float:
    after = abs((pull.finished_at - stages.finished_at).total_seconds()) if pull.finished_at else 0.0
    longer = abs(pull.pull_seconds - stages.wall_seconds) if pull.pull_seconds is not None else 0.0
    return after + longer
