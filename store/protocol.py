"""The edge to whatever keeps the records."""

from collections.abc import Iterator
from typing import Protocol

from pulls.batch import Batch, Gap, Reject
from pulls.milestone import Milestone
from pulls.record import Outcome, PullRecord


class StoreError(Exception):
    """The store refused or could not be reached. ``str()`` is one line that says what to do."""


class StoreBusyError(StoreError):
    """Another process holds the store for longer than a writer waits: the same call may be made again."""


class Store(Protocol):
    """Keeps each record once, by its identity, however often it is written."""

    async def write(self, batch: Batch) -> int:
        """Keep the batch; return how many of it were new. On return it is durable. Raises StoreError."""
        ...

    def pulls(self, *, outcome: Outcome | None = None, job: str | None = None) -> Iterator[PullRecord]:
        """The study's pulls, in order of cluster, finished_at, event_uid and count.

        Left out: pulls of abandoned job attempts, and what only pod status witnessed where an event tells it too.
        Raises StoreError.
        """
        ...

    def milestones(self) -> Iterator[Milestone]:
        """All milestones but those of abandoned job attempts, in order of cluster and time. Raises StoreError."""
        ...

    def rejects(self) -> Iterator[Reject]: ...

    def gaps(self) -> Iterator[Gap]: ...

    async def close(self) -> None: ...
