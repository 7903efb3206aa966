"""What events reported of each container: that its image is there, that a pull of it failed, that one began.

Bounded in memory. What is forgotten is asked of the API server again before anything is made of it.
"""

from enum import IntFlag

from collector.recent import Recent
from pullstudy.pulls.decode import Decoded
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.witness import PodWitness


class Reported(IntFlag):
    """What was reported of one container, added up."""

    NOTHING = 0
    PULLING = 1
    PRESENT = 2
    FAILED = 4


_OF_OUTCOME = {
    Outcome.PULLED: Reported.PRESENT,
    Outcome.CACHED: Reported.PRESENT,
    Outcome.FAILED: Reported.FAILED,
    Outcome.BACKOFF: Reported.FAILED,  # which follows a failure
}
LONGEST_KEY = 1_024  # no pod has a longer uid, container and image
_Key = tuple[str, str | None, str | None]  # pod_uid, container, image where no container is named


class ReportedContainers:
    """By pod and container."""

    def __init__(self, containers: int) -> None:
        """``containers`` a generation of the memory."""
        self._reported: Recent[_Key, Reported] = Recent(containers)

    def __len__(self) -> int:
        return len(self._reported)

    def add(self, decoded: Decoded) -> None:
        """An event was read."""
        for pull in decoded.pulls:
            key = _key_of(pull)
            if key is not None:
                self._put(key, _OF_OUTCOME[pull.outcome])
        for milestone in decoded.milestones:
            if milestone.moment is Moment.PULLING and milestone.pod_uid and milestone.container:
                self._put((milestone.pod_uid, milestone.container, None), Reported.PULLING)

    def _put(self, key: _Key, reported: Reported) -> None:
        if sum(len(part) for part in key if part) > LONGEST_KEY:  # whoever may write events chooses it
            return
        self._reported.put(key, (self._reported.get(key) or Reported.NOTHING) | reported)

    def of(self, row: PodWitness) -> Reported:
        """All that was reported of the container."""
        named = self._reported.get((row.pod_uid, row.container, None)) or Reported.NOTHING
        unnamed = self._reported.get((row.pod_uid, None, row.image)) or Reported.NOTHING
        return named | unnamed


def _key_of(pull: PullRecord) -> _Key | None:
    if pull.pod_uid is None:
        return None
    if pull.container is not None:
        return (pull.pod_uid, pull.container, None)
    # kwok's events name no container; combined events name neither, and are pinned on nothing.
    return (pull.pod_uid, None, pull.image) if pull.image is not None else None
