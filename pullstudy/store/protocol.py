"""The edge to whatever keeps the records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import GAP, MILESTONE, REJECT
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.selection import ALL, Selection

Identity = tuple[str, str, int]  # cluster, event_uid and count
JobName = tuple[str, str]  # cluster and job


class StoreError(Exception):
    """The store refused or could not be reached. ``str()`` is one line that says what to do."""


class StoreSettingsError(StoreError):
    """A setting is missing or makes no sense: wrong use, not a server that is away."""

    exit_code = 2


class StoreBusyError(StoreError):
    """Another process holds the store for longer than a writer waits: the same call may be made again."""


class AbandonedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job attempt that another one replaced: what it pulled is left out on reading. The driver's word, no sink's."""

    cluster: str
    job: str
    at: datetime  # when it was given up


@dataclass(frozen=True)
class Refused:
    """A record that the store will never take, and why."""

    record: msgspec.Struct
    reason: str


@dataclass(frozen=True)
class Delivered:
    """What became of a batch: written and refused together are all of it."""

    written: int
    refused: tuple[Refused, ...] = ()


@dataclass
class WriteCounters:
    """Since the start."""

    requests: int = 0
    statuses: dict[int, int] = field(default_factory=dict)  # requests by status; 0 where there was no answer
    points: int = 0  # written
    refused: int = 0
    repeats: int = 0  # requests made again
    divisions: int = 0  # requests made again as two halves
    sent_bytes: int = 0  # of line protocol, before compression
    write_seconds: float = 0.0  # of all requests together
    trouble: str | None = None  # why nothing is written now; None while all is well
    alarm: bool = False  # the trouble is a wrong setting


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


class RecordsByJob(Records, Protocol):
    """What holds its records so that those of one job are found at once. Every method raises StoreError."""

    def jobs(self, selection: Selection = ALL) -> Iterator[JobName]:
        """Those with pulls or milestones, in order, without those that pulls() leaves out."""
        ...

    def proves_job(self, job: JobName) -> bool:
        """Whether more than the names of pods tells that there is such a job.

        A DaemonSet or a DeploymentConfig whose name ends in a number has pods that are called as an Indexed Job's are,
        but never one of index 0, and no record of theirs names a job's uid or a controller that is a job.
        """
        ...

    def of_job(self, kind: Kind[R], job: JobName, selection: Selection = ALL) -> Iterator[R]:
        """The records of one of jobs(), as the kind orders them. Made to be asked in the order of jobs()."""
        ...

    def of_no_job(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        """The others, in the order of records()."""
        ...


class Store(RecordStore, Records, Protocol):
    """Keeps each record once, by its identity, however often it is written."""

    async def close(self) -> None: ...


class SharedStore(Store, Protocol):
    """A store on a server, which may hold other runs too. Writing waits for it for ever, and says so."""

    @property
    def counters(self) -> WriteCounters: ...

    async def deliver(self, batch: Batch) -> Delivered:
        """Write the batch. What the server will never take comes back with the reason: it is the caller's now."""
        ...

    async def tell(self, points: Sequence[msgspec.Struct]) -> None:
        """What the driver knows of jobs that are over, for dashboards; it is in no record."""
        ...
