"""From the spool to the store: take, write, and only then acknowledge."""

from typing import Protocol

from collector.backoff import wait_seconds
from collector.context import Context
from collector.frame import Entry
from collector.spooling import SpoolQueue
from pulls.batch import Batch
from store.protocol import StoreBusyError


class Sink(Protocol):
    """Where records go: a store, or a bus on the way to one."""

    async def write(self, batch: Batch) -> int:
        """Keep the batch, durably on return; return how many of it were new. Writing twice keeps once."""
        ...


class Delivery:
    """Runs until the queue is finished and empty.

    Raises what the sink raises, but for StoreBusyError: that is waited out.
    """

    def __init__(self, queue: SpoolQueue, sink: Sink, context: Context) -> None:
        self._queue = queue
        self._sink = sink
        self._settings = context.settings.delivery
        self._clock = context.clock
        self._random = context.random
        self._log = context.log
        self._status = context.status

    async def run(self) -> None:
        """1. take entries; 2. write them to the sink; 3. acknowledge them. A kill between any two repeats, and loses
        nothing."""
        while (entries := await self._queue.take(self._settings.batch_records)) is not None:
            batch = merge(entries)
            if batch:
                new = await self._write(batch)
                self._status.stored += new
                self._status.stored_before += len(batch) - new
            await self._queue.acknowledge(entries[-1].number)

    async def _write(self, batch: Batch) -> int:
        failures = 0
        while True:
            try:
                return await self._sink.write(batch)
            except StoreBusyError as error:
                failures += 1
                seconds = wait_seconds(failures, self._settings.retry, self._random)
                self._log.warning(f"{error}; trying again", wait_seconds=round(seconds, 1))
                await self._clock.sleep(seconds)


def merge(entries: list[Entry]) -> Batch:
    """One batch of all, in order."""
    if len(entries) == 1:
        return entries[0].batch
    return Batch(
        pulls=tuple(record for entry in entries for record in entry.batch.pulls),
        milestones=tuple(milestone for entry in entries for milestone in entry.batch.milestones),
        rejects=tuple(reject for entry in entries for reject in entry.batch.rejects),
        gaps=tuple(gap for entry in entries for gap in entry.batch.gaps),
    )
