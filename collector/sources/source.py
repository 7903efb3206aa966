"""What brings records into the collector: a watch of a cluster's API, and whatever else has a place where it was left.

A source gives batches, each with a position of its own encoding, and the spool keeps the two together: what was read is
on disk before the source goes on, and a restart goes on from there. Nothing here knows what a source reads.
"""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from collector.monitoring.vitals import Reading
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.pulls.batch import Batch


class SourceSpool:
    """The spool, for one source."""

    def __init__(self, queue: SpoolQueue, source: str) -> None:
        self._queue = queue
        self._source = source

    async def append(self, batch: Batch, position: bytes | None = None) -> None:
        """On return both are on disk; without a position it stays where it was. Waits while the spool is full.

        Raises SpoolError.
        """
        await self._queue.append(self._source, position, batch)


class Source(Protocol):
    """One way in. It is given the position of its last run when it is made."""

    @property
    def name(self) -> str:
        """In the spool beside its positions, and as a stage of the process: never to be changed, nor used twice."""
        ...

    async def run(self, spool: SourceSpool) -> None:
        """Bring what comes into the spool, for ever; what it raises ends the collector, and passing trouble does not.

        Cancelled at the end: what was not appended by then is read again at the next start.
        """
        ...

    def why_not_ready(self) -> str | None:
        """One line, where it does not bring what it is to bring; None where it does."""
        ...

    def readings(self) -> Iterable[Reading]:
        """Of its metrics."""
        ...


@runtime_checkable
class FinishingSource(Protocol):
    """A source that holds what came whole and is not in the spool yet."""

    async def finish(self, spool: SourceSpool) -> None:
        """Bring that in, once ``run`` has ended. Raises SpoolError."""
        ...
