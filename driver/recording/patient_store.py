"""A store at the other end of a network: asked again while it is away, for so long as the study allows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from driver.errors import LimitError
from pullstudy.polling import Sleep
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.point_layout import AbandonedJob
from pullstudy.store.protocol import Identity, RecordStore, StoreError

FIRST_PAUSE_SECONDS = 0.5
SLOWEST_PAUSE_SECONDS = 15.0
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
        began = self._monotonic()
        pause = FIRST_PAUSE_SECONDS
        said = False
        while True:
            try:
                answer = await ask()
            except StoreError as error:
                waited = self._monotonic() - began
                if waited >= self._limit_seconds:
                    raise self._given_up(str(error)) from error
                if not said:
                    self._note(f"{error}; asked again for up to {self._limit_seconds:.0f} s")
                    said = True
                await self._sleep(min(pause, self._limit_seconds - waited))
                pause = min(pause * 2, SLOWEST_PAUSE_SECONDS)
            else:
                if said:
                    self._note(f"{self._name} answers again after {self._monotonic() - began:.0f} s")
                return answer

    def _given_up(self, why: str) -> LimitError:
        return LimitError(f"{self._name} was waited for {self._limit_seconds:.0f} s (limits.store_seconds): {why}")
