"""The spool for the event loop: one side appends, the other takes, and each waits for the other.

The bound of what waits is on disk, not in memory: while the spool is full, append() waits, and so does the watch.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from collector.clock import Clock
from collector.spooling.frame import Entry
from collector.spooling.spool import Spool
from collector.spooling.waiting import WaitingBatches
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.notices import Notices

T = TypeVar("T")


class SpoolQueue:
    """A Spool between two tasks."""

    def __init__(self, spool: Spool, log: Notices, clock: Clock) -> None:
        self._spool = spool
        self._told = len(spool.damage)  # what was found at the opening is told by who opened it
        self._log = log
        self.paused = False  # the spool is full, and the watch waits
        self.waiting = WaitingBatches(clock.monotonic_seconds)
        written_at = spool.oldest_written_at()
        age_seconds = 0.0 if written_at is None else max(0.0, clock.now().timestamp() - written_at)
        self.waiting.found(spool.acknowledged, spool.last, age_seconds)
        # One thread: calls keep their order, and the event loop does not wait for the disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._written = asyncio.Event()
        self._room = asyncio.Event()
        self._finished = False

    async def append(self, source: str, position: bytes | None, batch: Batch) -> None:
        """Spool.append(): on return it is on disk. Waits while the spool is full. Raises SpoolError."""
        if self._spool.full:
            await self._wait_for_room()
        self.waiting.appended(await self._run(lambda: self._spool.append(source, position, batch)))
        self._written.set()

    @property
    def size_bytes(self) -> int:
        return self._spool.size_bytes

    @property
    def limit_bytes(self) -> int:
        return self._spool.limit_bytes

    async def _wait_for_room(self) -> None:
        self._log.warning(
            "the spool is full and the store does not keep up: the watch is paused", bytes=self._spool.size_bytes
        )
        self.paused = True
        try:
            while not self._spool.has_room:
                self._room.clear()
                await self._room.wait()
        finally:
            self.paused = False
        self._log.info("the spool has room again: the watch goes on")

    async def take(self, most_records: int) -> list[Entry] | None:
        """The next entries (see Spool.read); waits for them. None once finish() was called and all were taken."""
        while True:
            self._written.clear()
            finished = self._finished
            entries = await self._run(lambda: self._spool.read(most_records))
            self._tell_damage()
            if entries:
                return entries
            if finished:
                return None
            await self._written.wait()

    def _tell_damage(self) -> None:
        for line in self._spool.damage[self._told :]:
            self._log.error(f"the spool was damaged: {line}; a gap is recorded for what is lost")
        self._told = len(self._spool.damage)

    async def acknowledge(self, number: int) -> None:
        """The entries up to this number are in the store."""
        await self._run(lambda: self._spool.acknowledge(number))
        self.waiting.acknowledged(number)
        self._room.set()

    def finish(self) -> None:
        """No more will be appended: take() ends once it has given everything back."""
        self._finished = True
        self._written.set()

    async def close(self) -> None:
        """Waits for the call that is under way."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
