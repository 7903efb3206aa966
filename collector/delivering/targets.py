"""Where the spool delivers to: the embedded store, a bus, or InfluxDB directly. Each is a delivery.DeliveryTarget."""

from collections.abc import Callable
from datetime import datetime

from collector.delivering.dead_letters import DeadLetterFile
from collector.delivering.delivery import Written
from collector.delivering.sink import DeliveringStore
from pullstudy.bus.protocol import Bus
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.notices import Notices
from pullstudy.store.embedded.store import EmbeddedStore


class EmbeddedTarget:
    """The spool's entry is acknowledged when the file has it, synchronised."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store

    async def write(self, batch: Batch) -> Written:
        """Raises StoreError."""
        new = await self._store.write(batch)
        return Written(new, before=len(batch) - new)


class BusTarget:
    """The spool's entry is acknowledged when the bus has it, dead letters included."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def write(self, batch: Batch) -> Written:
        """Waits for the bus for ever."""
        published = await self._bus.publish(batch)
        return Written(published.sent, dead=published.dead)


class StoreTarget:
    """The spool's entry is acknowledged when the store has it, and what it refuses is in the file of dead letters."""

    def __init__(
        self, store: DeliveringStore, dead_letters: DeadLetterFile, notices: Notices, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._notices = notices
        self._now = now

    async def write(self, batch: Batch) -> Written:
        """Waits for the store for ever. Raises DataDirectoryError."""
        delivered = await self._store.deliver(batch)
        if delivered.refused:
            # Some bytes, seldom: the loop can wait for the disk.
            self._dead_letters.bury(delivered.refused, self._now())
            self._notices.warning(
                f"the store refused records: {delivered.refused[0].reason}; they are kept in {self._dead_letters.path}",
                records=len(delivered.refused),
            )
        return Written(delivered.written, dead=len(delivered.refused))
