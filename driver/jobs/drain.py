"""The wait between a job's end and its deletion: until what the API server has sent of it is in the store.

A job is over before its last events arrive, and deleting it takes the pods' own status away: so status is read first,
then the events are compared with the store, and only what nothing will tell any more is given up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from driver.clusters.cluster_api import ClusterApi
from driver.jobs.audit import Place, places, with_containers
from driver.jobs.pull_events import PullEvents
from driver.planning.study import Limits
from pullstudy.polling import Pace, Sleep, polls
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.ledger import Ledger
from pullstudy.store.protocol import Identity, RecordStore

PACE = Pace(0.02, 1.0)


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``late`` is how many events the collector had not stored at the limit."""

    pulls: list[PullRecord]  # of the job, by the events that the API server has sent
    late: int


class Drain:
    """Of one cluster. Time is the loop's: a limit, never a measurement."""

    def __init__(
        self,
        api: ClusterApi,
        ledger: Ledger,
        store: RecordStore,
        origin: Origin,
        limits: Limits,
        events: PullEvents,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._store = store
        self._origin = origin
        self._limits = limits
        self._events = events
        self._sleep = sleep

    async def job(self, job: str, present: set[Place]) -> Drained:
        """Wait for the job's pull events; ``present`` has the containers whose status proves that their image came.

        Ends when each event is stored and they speak of each of those containers, or when no new one came for
        ``quiet_seconds``; then all events are listed once. Raises StoreError, ApiError.
        """
        seen: set[Identity] = set()
        late = 0
        while True:
            async for _ in polls(PACE, self._limits.quiet_seconds, sleep=self._sleep):
                pulls = self._events.pulls
                received = {pull.identity for pull in pulls}
                late += await self._until_stored(job, received, pulls)
                if await self._complete(job, present, pulls):
                    return Drained(pulls=pulls, late=late)
                if received - seen:
                    break
            else:
                # A watch that is away brings nothing either: what nobody sent is known only from a list.
                await self._list_events()
                pulls = self._events.pulls
                late += await self._until_stored(job, {pull.identity for pull in pulls}, pulls)
                return Drained(pulls=pulls, late=late)
            seen |= received

    async def _list_events(self) -> None:
        async for page in self._api.event_pages():
            for event in page.items or ():
                self._events.take(event)

    async def cluster(self) -> int:
        """Wait for everything that any event says of the cluster's jobs; how many came late. Raises ApiError too.

        All events of the namespace are listed here, once: the one look that no watch could have missed anything of.
        """
        listed: set[Identity] = set()
        cluster = self._origin.cluster
        jobs = {row.job for row in self._ledger.jobs(self._origin.run or "") if row.cluster == cluster}
        async for batch in self._batches():
            listed |= _identities(batch, jobs)
        missing = await self._missing_at_limit(lambda: self._store.identities(cluster, self._origin.run), listed)
        if missing:
            async for batch in self._batches():
                await self._store_late(batch, missing)
        return len(missing)

    async def _complete(self, job: str, present: set[Place], pulls: list[PullRecord]) -> bool:
        stored = await self._stored(job)
        return all(present <= places(with_containers(known, present)) for known in (stored, pulls))

    async def _batches(self) -> AsyncIterator[Batch]:
        async for page in self._api.event_pages():
            yield _batch([decode_event(event, self._origin) for event in page.items or ()])

    async def _stored(self, job: str) -> list[PullRecord]:
        return await self._store.job_pulls(self._origin.cluster, self._origin.run, job)

    async def _until_stored(self, job: str, received: set[Identity], pulls: list[PullRecord]) -> int:
        async def stored() -> set[Identity]:
            return {pull.identity for pull in await self._stored(job)}

        missing = await self._missing_at_limit(stored, received)
        return await self._store_late(Batch(pulls=tuple(pulls)), missing)

    async def _missing_at_limit(
        self, stored: Callable[[], Awaitable[set[Identity]]], wanted: set[Identity]
    ) -> set[Identity]:
        missing = wanted
        async for _ in polls(PACE, self._limits.drain_seconds, sleep=self._sleep):
            missing = wanted - await stored()
            if not missing:
                break
        return missing

    async def _store_late(self, batch: Batch, missing: set[Identity]) -> int:
        """Keep what was received and never stored: the same records that the collector would have made of it."""
        if missing:
            await self._store.write(
                Batch(
                    pulls=tuple(pull for pull in batch.pulls if pull.identity in missing),
                    milestones=tuple(m for m in batch.milestones if m.event in missing),
                )
            )
        return len(missing)


def _identities(batch: Batch, jobs: set[str]) -> set[Identity]:
    pulls = {pull.identity for pull in batch.pulls if pull.job in jobs}
    return pulls | {m.event for m in batch.milestones if m.job in jobs}


def _batch(decoded: list[Decoded]) -> Batch:
    return Batch(
        pulls=tuple(pull for one in decoded for pull in one.pulls),
        milestones=tuple(milestone for one in decoded for milestone in one.milestones),
    )
