"""What the cluster holds and how it came to it: objects by version, as etcd keeps them, and a window of revisions.

Every revision is encoded once; readers are given those bytes. Objects that were deleted live on only as long as the
window does.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from pullstudy.sim.api.fields import Values
from pullstudy.sim.api.resources import Resource
from pullstudy.sim.time.clock import VirtualClock

Json = dict[str, Any]
Key = tuple[str, str]  # namespace, name

_TRIM = 1024  # how many compacted revisions are let gather before the list is cut: a cut copies the list
_NO_LABELS: dict[str, str] = {}
_encode = msgspec.json.Encoder().encode


class ObjectVersion(msgspec.Struct, frozen=True, gc=False):
    """One object at one version, ready to be sent."""

    key: Key
    version: int
    labels: dict[str, str]
    fields: Values  # of the resource's field names, in their order
    data: bytes


class Revision(msgspec.Struct, frozen=True, gc=False):
    """One write: what the object is now (for a deletion: its last state), and what it was."""

    version: int
    at: float  # virtual seconds
    store_key: str
    type: str  # ADDED, MODIFIED or DELETED, as a watch says it
    entry: ObjectVersion
    previous: ObjectVersion | None


class History:
    """Objects and revisions of all kinds, under one growing version.

    Kept: at most ``keep_revisions``, and, if ``keep_seconds`` is set, none older than that. ``version`` is the newest;
    ``oldest`` is the oldest version that a watch can still start from.
    """

    def __init__(
        self, clock: VirtualClock, first_version: int, keep_revisions: int, keep_seconds: float | None = None
    ) -> None:
        self._clock = clock
        self.version = first_version
        self.oldest = first_version
        self.keep_revisions = keep_revisions
        self.keep_seconds = keep_seconds
        self._revisions: list[Revision] = []
        self._first_held = first_version + 1  # the version of _revisions[0], kept ones and those not yet cut
        self._entries: dict[str, dict[Key, ObjectVersion]] = {}
        # The last list, which whoever asks for it page by page goes on with: kind, version, objects.
        self._listed: tuple[str, int, tuple[ObjectVersion, ...]] = ("", 0, ())
        self.on_write: Callable[[], None] = lambda: None

    def put(self, resource: Resource, obj: Json) -> ObjectVersion:
        """Write an object as it stands. Its resourceVersion is set here."""
        self.version += 1
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self.version)
        key = (meta.get("namespace", ""), meta["name"])
        entry = ObjectVersion(
            key, self.version, meta.get("labels") or _NO_LABELS, resource.fields.read(obj), _encode(obj)
        )
        entries = self._entries.setdefault(resource.store_key, {})
        previous = entries.get(key)
        entries[key] = entry
        self._append(resource.store_key, "MODIFIED" if previous else "ADDED", entry, previous)
        return entry

    def remove(self, resource: Resource, obj: Json) -> None:
        """Delete an object: its last state goes out under a version of its own."""
        self.version += 1
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self.version)
        key = (meta.get("namespace", ""), meta["name"])
        previous = self._entries[resource.store_key].pop(key)
        entry = ObjectVersion(key, self.version, previous.labels, previous.fields, _encode(obj))
        self._append(resource.store_key, "DELETED", entry, previous)

    def remove_by_key(self, resource: Resource, key: Key) -> bool:
        """Delete what is known only by its key (an event whose time is over); False if it is gone already."""
        entry = self._entries.get(resource.store_key, {}).get(key)
        if entry is None:
            return False
        self.remove(resource, msgspec.json.decode(entry.data))
        return True

    def _append(self, store_key: str, kind: str, entry: ObjectVersion, previous: ObjectVersion | None) -> None:
        self._revisions.append(Revision(self.version, self._clock.now, store_key, kind, entry, previous))
        if self.version - self.oldest > self.keep_revisions:
            self.oldest = self.version - self.keep_revisions
            self._trim()
        self.on_write()

    def entry(self, resource: Resource, namespace: str, name: str) -> ObjectVersion | None:
        return self._entries.get(resource.store_key, {}).get((namespace, name))

    def holds(self, resource: Resource, key: Key) -> bool:
        return key in self._entries.get(resource.store_key, ())

    def count(self, resource: Resource) -> int:
        return len(self._entries.get(resource.store_key, ()))

    def entries(self, resource: Resource) -> Sequence[ObjectVersion]:
        """All that is there now, in the order of their keys, as etcd gives them."""
        return self.entries_at(resource, self.version)

    def entries_at(self, resource: Resource, version: int) -> Sequence[ObjectVersion]:
        """All that was there at a version of the window, in the order of their keys."""
        if self._listed[:2] != (resource.store_key, version):
            self._listed = (resource.store_key, version, self._sorted_entries(resource, version))
        return self._listed[2]

    def _sorted_entries(self, resource: Resource, version: int) -> tuple[ObjectVersion, ...]:
        entries = dict(self._entries.get(resource.store_key, {}))
        for revision in reversed(self._revisions[self._index(version + 1) :]):
            if revision.store_key != resource.store_key:
                continue
            if revision.previous is None:
                del entries[revision.entry.key]
            else:
                entries[revision.entry.key] = revision.previous
        return tuple(entries[key] for key in sorted(entries))

    def since(self, version: int, limit: int) -> Iterator[Revision]:
        """At most ``limit`` revisions after ``version``, which must not be older than ``oldest``."""
        start = self._index(version + 1)
        return iter(self._revisions[start : start + limit])

    def _index(self, version: int) -> int:
        return max(0, version - self._first_held)

    def compact(self, version: int | None = None) -> None:
        """Forget all revisions up to ``version`` (the newest, if not given)."""
        self.oldest = max(self.oldest, min(self.version, self.version if version is None else version))
        self._trim(at_once=True)

    def compact_by_age(self) -> None:
        """Forget what is older than ``keep_seconds``."""
        if self.keep_seconds is None:
            return
        cut = bisect_left(self._revisions, self._clock.now - self.keep_seconds, key=lambda r: r.at)
        if cut:
            self.compact(self._revisions[cut - 1].version)

    def _trim(self, at_once: bool = False) -> None:
        surplus = self.oldest + 1 - self._first_held
        if surplus >= _TRIM or (at_once and surplus > 0):
            del self._revisions[:surplus]
            self._first_held += surplus
