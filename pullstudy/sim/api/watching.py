"""One watch: from which version, which revisions it sees, and as which type, without any socket.

Source: kubernetes ``apiserver/pkg/storage/etcd3/watcher.go``.
"""

from collections.abc import Callable, Iterator

from pullstudy.sim.api import status
from pullstudy.sim.api.event_forms import as_seen_at
from pullstudy.sim.api.history import History, ObjectVersion, Revision
from pullstudy.sim.api.resources import NEW_EVENTS, Resource

LOOK_AHEAD = 512  # revisions turned into bytes at once: bounds what a slow reader makes us hold


class WatchCursor:
    """A cursor on the history. ``keep`` is scope and selectors in one test, or None for all of the kind."""

    def __init__(self, history: History, resource: Resource, keep: Callable[[ObjectVersion], bool] | None) -> None:
        self._history = history
        self._resource = resource
        self._keep = keep
        self._plain = resource is not NEW_EVENTS
        self.cursor = 0

    def start(self, version: str) -> Iterator[bytes]:
        """Lines to send first. Raises ApiFailureError: 400 for no number, 410 for a version compacted away."""
        if version in ("", "0"):
            self.cursor = self._history.version
            # What is there already comes by key, not by version: a client must not move its checkpoint by these.
            return (self.line("ADDED", entry) for entry in self._history.entries(self._resource) if self._sees(entry))
        try:
            self.cursor = int(version)
        except ValueError:
            raise status.bad_request(f"resourceVersion: Invalid value: {version!r}") from None
        self._require_window()
        return iter(())

    @property
    def behind(self) -> int:
        """How many revisions it has yet to look at; none, for ever, where it began ahead of the server."""
        return max(0, self._history.version - self.cursor)

    def advance(self) -> list[bytes]:
        """The next lines, none if nothing of its kind came. Raises ApiFailureError 410 if the window went past it."""
        self._require_window()
        lines = []
        for revision in self._history.since(self.cursor, LOOK_AHEAD):
            self.cursor = revision.version
            if revision.store_key == self._resource.store_key and (line := self._line_of(revision)):
                lines.append(line)
        return lines

    def _require_window(self) -> None:
        if self.cursor < self._history.oldest:
            raise status.too_old(self.cursor, self._history.oldest)

    def _sees(self, entry: ObjectVersion | None) -> bool:
        return entry is not None and (self._keep is None or self._keep(entry))

    def _line_of(self, revision: Revision) -> bytes | None:
        if self._keep is None:
            return self.line(revision.type, revision.entry)
        sees = revision.type != "DELETED" and self._sees(revision.entry)
        saw = self._sees(revision.previous)
        if not sees and not saw:
            return None
        # An object that comes to match is ADDED to this watch, one that ceases to is DELETED from it.
        return self.line("MODIFIED" if sees and saw else "ADDED" if sees else "DELETED", revision.entry)

    def line(self, kind: str, entry: ObjectVersion) -> bytes:
        data = entry.data if self._plain else as_seen_at(self._resource, entry.data)
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), data)

    def bookmark(self) -> bytes:
        """Says how far this watch has come, without an object."""
        return b'{"type":"BOOKMARK","object":%b"metadata":{"resourceVersion":"%d","creationTimestamp":null}}}\n' % (
            self._resource.head,
            max(self.cursor, self._history.version),
        )
