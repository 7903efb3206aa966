"""The Store on InfluxDB 2: one point a record, overwritten and never doubled when it is written again."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any

import msgspec

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import KINDS
from pullstudy.pulls.notices import Notices
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.influx.connection import InfluxConnection
from pullstudy.store.influx.jobs import InfluxJobs
from pullstudy.store.influx.line_protocol import PointFormat
from pullstudy.store.influx.point_layout import TOLD, measurement_of
from pullstudy.store.influx.read import InfluxReader
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.write import InfluxWriter
from pullstudy.store.protocol import (
    AbandonedJob,
    Delivered,
    Identity,
    Refused,
    SharedStore,
    StoredRun,
    StoreError,
    WriteCounters,
)
from pullstudy.store.selection import ALL, Selection
from pullstudy.timing import Timing


class RefusedError(StoreError):
    """The server took all of a batch but these, and will never take these."""

    def __init__(self, refused: tuple[Refused, ...]) -> None:
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        super().__init__(f"InfluxDB refused a record: {refused[0].reason}{more}")
        self.refused = refused


class InfluxStore(SharedStore):
    """One bucket. Writing waits for ever: for a server that is away, for a setting to be put right."""

    def __init__(
        self,
        settings: InfluxSettings,
        notices: Notices,
        random: Random,
        timing: Timing | None = None,
        kinds: Iterable[Kind[Any]] = KINDS,
    ) -> None:
        """Connects at the first write or read."""
        formats = partial(PointFormat, (*map(measurement_of, kinds), *TOLD))
        self._connection = InfluxConnection(settings)
        self._writer = InfluxWriter(settings, self._connection, notices, random, timing or Timing(), formats)
        self._jobs = InfluxJobs(settings)
        self._reader = InfluxReader(settings)

    @property
    def counters(self) -> WriteCounters:
        return self._writer.counters

    async def deliver(self, batch: Batch) -> Delivered:
        """Write the batch. What the server will never take comes back with the reason: it is the caller's now."""
        return await self._writer.deliver(batch.records())

    async def write(self, batch: Batch) -> int:
        """deliver() for callers that can do nothing about a refused record.

        The number of points written: the server does not say how many of them are new. Raises RefusedError after all
        the others are written.
        """
        delivered = await self.deliver(batch)
        if delivered.refused:
            raise RefusedError(delivered.refused)
        return delivered.written

    async def abandon(self, jobs: Sequence[AbandonedJob]) -> None:
        """Also raises RefusedError."""
        delivered = await self._writer.deliver(jobs)
        if delivered.refused:
            raise RefusedError(delivered.refused)

    async def tell(self, points: Sequence[msgspec.Struct]) -> None:
        """What the driver knows of jobs that are over, for dashboards; it is in no record. Raises RefusedError."""
        delivered = await self._writer.deliver(points)
        if delivered.refused:
            raise RefusedError(delivered.refused)

    async def copy(self, points: Sequence[msgspec.Struct]) -> Delivered:
        """What another bucket has, of any measurement."""
        return await self._writer.deliver(points)

    async def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        return await self._jobs.pulls(cluster, run, job)

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        return await self._jobs.identities(cluster, run)

    def runs(self) -> list[StoredRun]:
        return self._reader.runs()

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        return self._reader.pulls(selection, outcome=outcome, job=job)

    def records(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        return self._reader.records(kind, selection)

    async def close(self) -> None:
        await self._connection.close()
        await self._jobs.close()
