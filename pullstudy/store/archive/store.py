"""The archive as a store that a sink writes to: durable on return, and waited for as long as it is away."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeVar

import msgspec

from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.notices import Notices
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.archive.incoming import keep
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.read import ArchiveReader
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.tables import Abandoned
from pullstudy.store.protocol import (
    AbandonedJob,
    Delivered,
    Identity,
    SharedStore,
    StoredRun,
    StoreError,
    StoreSettingsError,
    WriteCounters,
)
from pullstudy.store.selection import ALL, Selection
from pullstudy.timing import Timing

T = TypeVar("T")
_BACKOFF = Backoff(first_seconds=0.5, most_seconds=30.0)
_REMIND_SECONDS = 60.0  # between two lines that say the same


class ArchiveStore(SharedStore):
    """Several deliver() calls may run at once; a thread writes each."""

    def __init__(
        self, settings: ArchiveSettings, notices: Notices, random: Random, timing: Timing | None = None
    ) -> None:
        """Looks at nothing before the first write or read."""
        self._settings = settings
        self._objects = objects_of(settings)
        self._reader = ArchiveReader(settings)
        self._notices = notices
        self._random = random
        self._timing = timing or Timing()
        self._reminded_at = 0.0
        self._counters = WriteCounters()

    @property
    def counters(self) -> WriteCounters:
        return self._counters

    async def deliver(self, batch: Batch) -> Delivered:
        """What Parquet cannot hold comes back with the reason. Waits for the place for ever."""
        kept = await self._patiently(lambda: keep(self._objects, batch))
        self._counters.points += kept.delivered.written
        self._counters.refused += len(kept.delivered.refused)
        self._counters.sent_bytes += kept.written_bytes
        return kept.delivered

    async def write(self, batch: Batch) -> int:
        """The number of records written: the place is not asked which of them it had. Raises StoreError."""
        delivered = await self.deliver(batch)
        if delivered.refused:
            raise StoreError(f"{self._settings.place}: {delivered.refused[0].reason}")
        return delivered.written

    async def abandon(self, jobs: Sequence[AbandonedJob]) -> None:
        await self.write(Batch(more=[Abandoned(cluster=job.cluster, job=job.job, at=job.at) for job in jobs]))

    async def tell(self, points: Sequence[msgspec.Struct]) -> None:
        """Nothing: there is no dashboard on an archive."""

    async def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        return await asyncio.to_thread(lambda: self._reader.job_pulls(cluster, run, job))

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        return await asyncio.to_thread(lambda: self._reader.identities(cluster, run))

    def runs(self) -> list[StoredRun]:
        return self._reader.runs()

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        return self._reader.pulls(selection, outcome=outcome, job=job)

    def records(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        return self._reader.records(kind, selection)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _patiently(self, work: Callable[[], T]) -> T:
        failures = 0
        while True:
            self._counters.requests += 1
            started = self._timing.monotonic()
            try:
                done = await asyncio.to_thread(work)
            except StoreError as error:
                failures += 1
                await self._wait(error, failures)
            else:
                self._counters.write_seconds += self._timing.monotonic() - started
                self._recovered()
                return done

    async def _wait(self, error: StoreError, failures: int) -> None:
        seconds, counters, now = _BACKOFF.seconds(failures, self._random), self._counters, self._timing.monotonic()
        counters.repeats += 1
        if counters.trouble != str(error) or now - self._reminded_at >= _REMIND_SECONDS:
            self._reminded_at = now
            say = self._notices.error if isinstance(error, StoreSettingsError) else self._notices.warning
            say(f"{error}; nothing is lost, writing is tried again", wait_seconds=round(seconds, 1))
        counters.trouble, counters.alarm = str(error), isinstance(error, StoreSettingsError)
        await self._timing.sleep(seconds)

    def _recovered(self) -> None:
        if self._counters.trouble is not None:
            self._notices.info(f"{self._settings.place} takes records again")
            self._counters.trouble, self._counters.alarm = None, False
