"""Which events were read already, so that a list after a gap brings only the unseen. Bounded in memory.

What is forgotten here is still kept once: every store knows a record by (event uid, count). This only spares it work.
"""


class Seen:
    """The latest counts by event uid: two generations, the older dropped whole when the younger is full."""

    def __init__(self, events: int) -> None:
        """``events`` a generation."""
        self._events = events
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, uid: str, count: int) -> bool:
        """Remember the event; return whether it is news: not what was last seen of this uid."""
        known = self._young.get(uid) or self._old.get(uid)
        if known == count:
            return False
        if len(self._young) >= self._events and uid not in self._young:
            self._old, self._young = self._young, {}
        self._young[uid] = count
        return True
