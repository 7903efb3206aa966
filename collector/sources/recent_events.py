"""Which events were read already, so that a list after a gap brings only the unseen. Bounded in memory.

What is forgotten here is still kept once: every store knows a record by (cluster, event uid, count). This only spares
it work.
"""

from collector.recent import Recent

LONGEST_UID = 128  # a UUID has 36 characters; what an API server gives in its place may have any number


class RecentEvents:
    """The latest counts by event uid."""

    def __init__(self, events: int) -> None:
        """``events`` a generation."""
        self._events = events
        self.forget()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, uid: str, count: int) -> bool:
        """Remember the event; return whether it is news: not what was last seen of this uid."""
        if self._counts.get(uid) == count:
            return False
        if len(uid) <= LONGEST_UID:
            self._counts.put(uid, count)
        return True

    def forget(self) -> None:
        """All of it: what comes next is news."""
        self._counts: Recent[str, int] = Recent(self._events)
