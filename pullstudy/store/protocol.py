"""The edge to whatever keeps the records."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import GAP, MILESTONE, REJECT
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.influx.point_layout import AbandonedJob
from pullstudy.store.selection import ALL, Selection

Identity = tuple[str, str, int]  # cluster, event_uid and count


class StoreError(Exception):
    """The store refused or could not be reached. ``str()`` is one line that says what to do."""


class StoreBusyError(StoreError):
    """Another process holds the store for longer than a writer waits: the same call may be made again."""


class RecordStore(Protocol):
    """What a sweep needs of a store: to write, and to ask for what it made. Every method raises StoreError."""

    async def write(self, batch: Batch) -> int:
        """Keep the batch; return how many of it were new. On return it is durable."""
        ...

    async def abandon(self, jobs: Sequence[AbandonedJob]) -> None:
        """Leave their pulls and milestones out of what is read from now on, those that come later too."""
        ...

    async def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        """All that is stored of one job's pulls: nothing is left out. Made to be asked often."""
        ...

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        """Of all pulls and milestones that are stored of one cluster of a run: nothing is left out."""
        ...


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """The pulls of one run on one cluster, and the whole seconds between which they ended."""

    run: str | None
    cluster: str
    size: int | None
    pulls: int  # all that are stored: nothing is left out
    first_at: datetime | None
    last_at: datetime | None


class Records(Protocol):
    """What a study is read from. Every method raises StoreError."""

    def runs(self) -> list[StoredRun]:
        """In order of run, size and cluster; what belongs to no run comes first."""
        ...

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        """The study's pulls, in order of cluster, finished_at, event_uid and count.

        Left out: pulls of abandoned job attempts, and what only pod status witnessed where an event tells it too.
        """
        ...

    def records(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        """All of one kind, in order of cluster and then as the kind says; for pulls see pulls().

        Left out are those of abandoned job attempts. A kind that knows no runs is selected by cluster alone.
        """
        ...

    def milestones(self, selection: Selection = ALL) -> Iterator[Milestone]:
        return self.records(MILESTONE, selection)

    def rejects(self, selection: Selection = ALL) -> Iterator[Reject]:
        return self.records(REJECT, selection)

    def gaps(self, selection: Selection = ALL) -> Iterator[Gap]:
        return self.records(GAP, selection)


class Store(RecordStore, Records, Protocol):
    """Keeps each record once, by its identity, however often it is written."""

    async def close(self) -> None: ...
