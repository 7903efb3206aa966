"""From the spool to the store: take, write, and only then acknowledge."""

from dataclasses import dataclass
from typing import Protocol

from collector.context import Context
from collector.spooling.frame import Entry
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.pulls.batch import Batch
from pullstudy.store.protocol import StoreBusyError


@dataclass(frozen=True)
class Written:
    """What became of a batch: together they are all of it."""

    new: int  # where the place does not say what it had before: all that it took
    before: int = 0  # the place had them already
    dead: int = 0  # will never be taken: set aside, with the reason


class DeliveryTarget(Protocol):
    """Where records go: a store, or a bus on the way to one."""

    async def write(self, batch: Batch) -> Written:
        """Keep the batch, durably on return. Writing twice keeps once."""
        ...


class Delivery:
    """Runs until the queue is finished and empty.

    Raises what the target raises, but for StoreBusyError: that is waited out.
    """

    def __init__(self, queue: SpoolQueue, target: DeliveryTarget, context: Context) -> None:
        self._queue = queue
        self._target = target
        self._settings = context.settings.delivery
        self._clock = context.clock
        self._random = context.random
        self._log = context.log
        self._status = context.status

    async def run(self) -> None:
        """1. take entries; 2. write them to the target; 3. acknowledge them. A kill between any two repeats, and loses
        nothing."""
        while (entries := await self._queue.take(self._settings.batch_records)) is not None:
            batch = merge(entries)
            if batch:
                started = self._clock.monotonic_seconds()
                self._count(await self._write(batch), self._clock.monotonic_seconds() - started)
            await self._queue.acknowledge(entries[-1].number)
            if len(batch) < self._settings.small_records:
                await self._clock.sleep(self._settings.pause_seconds)

    def _count(self, written: Written, seconds: float) -> None:
        self._status.stored += written.new
        self._status.stored_before += written.before
        self._status.dead_letters += written.dead
        self._status.write_seconds.observe(seconds)

    async def _write(self, batch: Batch) -> Written:
        """On return all of it is written; the time that this took is also that of an outage in between."""
        failures = 0
        while True:
            try:
                written = await self._target.write(batch)
            except StoreBusyError as error:
                failures += 1
                self._status.held = str(error)
                seconds = self._settings.retry.seconds(failures, self._random)
                self._log.warning(f"{error}; trying again", wait_seconds=round(seconds, 1))
                await self._clock.sleep(seconds)
            else:
                self._status.held = None
                return written


def merge(entries: list[Entry]) -> Batch:
    """One batch of all, in order."""
    if len(entries) == 1:
        return entries[0].batch
    return Batch.joined(entry.batch for entry in entries)
