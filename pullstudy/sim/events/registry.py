"""Where events are posted: created or patched in the API, deleted when their time is over."""

from collections import deque
from typing import Any

from pullstudy.sim.api.apiserver import Identities
from pullstudy.sim.api.history import History, Key
from pullstudy.sim.api.resources import EVENTS
from pullstudy.sim.time.clock import VirtualClock

Json = dict[str, Any]

SWEEP_SECONDS = 60.0  # how often lapsed events are looked for; etcd's leases are no finer in effect


class EventRegistry:
    """Events in the API. A patch lengthens an event's life, as the renewed lease does."""

    def __init__(self, clock: VirtualClock, history: History, identities: Identities, keep_seconds: float) -> None:
        self._clock = clock
        self._history = history
        self._identities = identities
        self.keep_seconds = keep_seconds
        self._lapsing: deque[tuple[float, Key, int]] = deque()
        clock.every(SWEEP_SECONDS, self._sweep)

    def create(self, event: Json) -> str:
        """Post a new event; its uid is returned."""
        uid = self._identities.uid()
        event["metadata"] |= {"uid": uid, "creationTimestamp": self._clock.stamp()}
        self._put(event)
        return uid

    def patch(self, event: Json) -> bool:
        """Write a later count over the event of that name; False (404) if it is gone."""
        if not self._history.holds(EVENTS, _key(event)):
            return False
        self._put(event)
        return True

    def _put(self, event: Json) -> None:
        entry = self._history.put(EVENTS, event)
        self._lapsing.append((self._clock.now, entry.key, entry.version))

    def lapse(self, older_than_seconds: float) -> int:
        """Delete every event not written for so long; return how many."""
        deleted = 0
        while self._lapsing and self._lapsing[0][0] <= self._clock.now - older_than_seconds:
            _, key, version = self._lapsing.popleft()
            entry = self._history.entry(EVENTS, *key)
            if entry is not None and entry.version == version:
                self._history.remove_by_key(EVENTS, key)
                deleted += 1
        return deleted

    def _sweep(self) -> None:
        self.lapse(self.keep_seconds)
        self._history.compact_by_age()


def _key(event: Json) -> Key:
    return (event["metadata"]["namespace"], event["metadata"]["name"])
