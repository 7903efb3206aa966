"""A store at the other end of a network: asked again while it is away, for so long as the study allows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from driver.errors import LimitError
from pullstudy.polling import Pace, Sleep, polls
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.protocol import AbandonedJob, Identity, RecordStore, StoreError

PACE = Pace(first_seconds=0.5, most_seconds=15.0)
T = TypeVar("T")


class PatientStore:
    """Hands everything on. Raises LimitError where nothing came of it within ``limit_seconds``."""

    def __init__(
        self,
        store: RecordStore,
        name: str,
        limit_seconds: float,
        note: Callable[[str], None],
        *,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._name = name
        self._limit_seconds = limit_seconds
        self._note = note
        self._sleep = sleep
        self._monotonic = monotonic

    async def write(self, batch: Batch) -> int:
        return await self._within_limit(lambda: self._store.write(batch))

    async def abandon(self, jobs: Sequence[AbandonedJob]) -> None:
        await self._within_limit(lambda: self._store.abandon(jobs))

    async def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        return await self._patiently(lambda: self._store.job_pulls(cluster, run, job))

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        return await self._patiently(lambda: self._store.identities(cluster, run))

    async def _within_limit(self, work: Callable[[], Awaitable[T]]) -> T:
        """For what waits by itself, without end, and says so."""
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await work()
        except TimeoutError:
            raise self._given_up("took nothing") from None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        failed: StoreError | None = None
        async for waited in polls(PACE, self._limit_seconds, sleep=self._sleep, monotonic=self._monotonic):
            try:
                answer = await ask()
            except StoreError as error:
                if failed is None:
                    self._note(f"{error}; asked again for up to {self._limit_seconds:.0f} s")
                failed = error
            else:
                if failed is not None:
                    self._note(f"{self._name} answers again after {waited:.0f} s")
                return answer
        raise self._given_up(str(failed)) from failed

    def _given_up(self, why: str) -> LimitError:
        return LimitError(f"{self._name} was waited for {self._limit_seconds:.0f} s (limits.store_seconds): {why}")
