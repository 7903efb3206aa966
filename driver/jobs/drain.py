"""The wait between a job's end and its deletion: until what the API server has of it is in the store.

A job is over before its last events arrive, and deleting it takes the pods' own status away: so status is read first,
then the events are compared with the store, and only what nothing will tell any more is given up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from driver.clusters.cluster_api import ClusterApi, Sleep
from driver.jobs.audit import Place, places, with_containers
from driver.planning.study import Limits
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.ledger import Ledger
from pullstudy.store.protocol import Identity, RecordStore

POLL_SECONDS = 0.02
SLOWEST_POLL_SECONDS = 1.0
# The reasons under which a kubelet tells how a pull ended. The API server selects by one reason a request.
REASONS = ("Pulled", "Failed")


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``late`` is how many listed events the collector had not stored at the limit."""

    told: list[PullRecord]  # of the job, by the events that the API server has
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
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._store = store
        self._origin = origin
        self._limits = limits
        self._sleep = sleep

    async def job(self, job: str, present: set[Place]) -> Drained:
        """Wait for the job's pull events; ``present`` has the containers whose status proves that their image came.

        Ends when each listed event is stored and tells of each of those containers, or when nothing new was listed
        for ``quiet_seconds``. Raises ApiError, StoreError.
        """
        told: list[PullRecord] = []
        seen: set[Identity] = set()
        quiet = 0.0
        pause = POLL_SECONDS
        late = 0
        while True:
            told = await self._told(job)
            listed = {pull.identity for pull in told}
            if listed - seen:
                seen |= listed
                quiet, pause = 0.0, POLL_SECONDS
            late += await self._until_stored(job, listed, told)
            stored = places(with_containers(await self._stored(job), present))
            if not present - stored or quiet >= self._limits.quiet_seconds:
                return Drained(told=told, late=late)
            await self._sleep(pause)
            quiet += pause
            pause = min(pause * 2, SLOWEST_POLL_SECONDS)

    async def cluster(self) -> int:
        """Wait for everything that any event tells of the cluster's jobs; how many came late. Raises as job()."""
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

    async def _batches(self) -> AsyncIterator[Batch]:
        async for page in self._api.event_pages():
            yield _batch([decode_event(event, self._origin) for event in page.items or ()])

    async def _told(self, job: str) -> list[PullRecord]:
        found: list[PullRecord] = []
        for reason in REASONS:
            for event in (await self._api.events(reason)).items or []:
                # The list holds every earlier job's events too: a pod's name tells them apart before they are decoded.
                if event.object is not None and event.object.name.startswith(f"{job}-"):
                    found.extend(decode_event(event, self._origin).pulls)
        return found

    async def _stored(self, job: str) -> list[PullRecord]:
        return await self._store.job_pulls(self._origin.cluster, self._origin.run, job)

    async def _until_stored(self, job: str, listed: set[Identity], told: list[PullRecord]) -> int:
        async def stored() -> set[Identity]:
            return {pull.identity for pull in await self._stored(job)}

        missing = await self._missing_at_limit(stored, listed)
        return await self._store_late(Batch(pulls=tuple(told)), missing)

    async def _missing_at_limit(
        self, stored: Callable[[], Awaitable[set[Identity]]], listed: set[Identity]
    ) -> set[Identity]:
        pause, waited = POLL_SECONDS, 0.0
        while (missing := listed - await stored()) and waited < self._limits.drain_seconds:
            await self._sleep(pause)
            waited += pause
            pause = min(pause * 2, SLOWEST_POLL_SECONDS)
        return missing

    async def _store_late(self, batch: Batch, missing: set[Identity]) -> int:
        """Keep what was listed and never stored: the same records that the collector would have made of it."""
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
