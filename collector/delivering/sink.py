"""From the bus to the store: take a parcel, store it, bury what cannot be stored, and only then commit its offsets.

A kill between any two of these repeats the parcel, and the points are the same ones. The store's pace is the sink's: a
few parcels are under way at a time, and no more is taken while they are. Offsets are committed in the order in which
the parcels were taken, so that none is passed over.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from collector.monitoring.histogram import Histogram
from pullstudy.bus.protocol import Bus, Consumer, DeadLetter, Lost, Message, Parcel
from pullstudy.bus.record_format import UnreadableMessageError, decode
from pullstudy.pulls.batch import Batch, Gap
from pullstudy.pulls.kind import Record
from pullstudy.pulls.notices import Notices
from pullstudy.store.protocol import Delivered


@dataclass(frozen=True)
class SinkSettings:
    """How much is under way between bus and store."""

    batch_messages: int = 5_000  # of one parcel: one write of the store
    batch_bytes: int = 8 << 20  # of one parcel: some 10,000 records
    linger_seconds: float = (
        0.2  # after the first message, for more to come: a write of 10 costs as much as one of 1,000
    )
    idle_seconds: float = 1.0  # of one look for messages
    at_once: int = 3  # parcels in memory: one is stored, one is made ready, one is taken
    drain_seconds: float = 20.0  # after the signal to stop, for what is under way


@dataclass
class SinkCounters:
    """Since the start."""

    parcels: int = 0  # stored
    messages: int = 0  # taken
    stored: int = 0  # records
    unreadable: int = 0  # messages that are no record of this version: dead letters
    refused: int = 0  # records that the store will never take: dead letters
    lost_ranges: int = 0  # of offsets that were gone before they were read
    committed: int = 0  # parcels
    uncommitted: int = 0  # parcels that will come again, to this sink or to another
    write_seconds: Histogram = field(default_factory=Histogram)  # of a parcel, until the store has acknowledged it
    under_way: int = 0  # parcels now
    reasons: dict[str, int] = field(default_factory=dict)  # dead letters by the first words of their reason


class DeliveringStore(Protocol):
    """Where records end: every ``SharedStore`` is one."""

    async def deliver(self, batch: Batch) -> Delivered:
        """Keep the batch, durably on return, for as long as that takes; what can never be kept comes back."""
        ...


class Sink:
    """One member of the group that stores what is on the bus."""

    def __init__(
        self,
        bus: Bus,
        consumer: Consumer,
        store: DeliveringStore,
        settings: SinkSettings,
        notices: Notices,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._consumer = consumer
        self._store = store
        self._settings = settings
        self._notices = notices
        self._now = now
        self._monotonic = monotonic
        self._room = asyncio.Semaphore(settings.at_once)
        # In the order in which they were taken; None is the end. The semaphore bounds it.
        self._taken: asyncio.Queue[tuple[Parcel, asyncio.Task[None]] | None] = asyncio.Queue()
        self._sent_at: deque[float] = deque()  # when the oldest message of each parcel under way was published
        self.counters = SinkCounters()

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest message that was taken and is not committed; 0 where there is none."""
        return max(0.0, self._now().timestamp() - min(self._sent_at)) if self._sent_at else 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until the event is set; then what is under way is stored and committed, within drain_seconds.

        What is not by then comes again. Raises what the store and the bus raise.
        """
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(self._take(group))
            committing = group.create_task(self._commit())
            await stop.wait()
            taking.cancel()
            self._taken.put_nowait(None)
            await asyncio.wait([committing], timeout=self._settings.drain_seconds)
            if not committing.done():
                self._notices.warning(
                    "stopped before the store had everything that was taken: it comes again at the next start",
                    parcels=self.counters.under_way,
                )
                committing.cancel()
                self._give_up()

    def _give_up(self) -> None:
        while not self._taken.empty():
            if (each := self._taken.get_nowait()) is not None:
                each[1].cancel()

    # -- taking ------------------------------------------------------------------------------------------------------

    async def _take(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._room.acquire()
            parcel = await self._gather()
            if not parcel.messages and not parcel.lost:
                self._room.release()
                continue
            self.counters.under_way += 1
            self._sent_at.append(_oldest(parcel, self._now()))
            self._taken.put_nowait((parcel, group.create_task(self._keep(parcel))))

    async def _gather(self) -> Parcel:
        """A parcel, filled up with what comes in the time that it lingers."""
        settings = self._settings
        parcel = await self._consumer.take(settings.batch_messages, settings.batch_bytes, settings.idle_seconds)
        size = _size_bytes(parcel)
        deadline = self._monotonic() + settings.linger_seconds
        while parcel.messages and len(parcel.messages) < settings.batch_messages and size < settings.batch_bytes:
            if (left := deadline - self._monotonic()) <= 0:
                break
            more = await self._consumer.take(
                settings.batch_messages - len(parcel.messages), settings.batch_bytes - size, left
            )
            parcel = _joined(parcel, more)
            size = _size_bytes(parcel)
        self.counters.messages += len(parcel.messages)
        return parcel

    # -- storing -----------------------------------------------------------------------------------------------------

    async def _keep(self, parcel: Parcel) -> None:
        """1. read the messages; 2. store the records; 3. bury what is unreadable or refused. Then all is durable."""
        records, letters = _read(parcel.messages)
        self.counters.unreadable += len(letters)
        gaps = [_gap(lost, self._now()) for lost in parcel.lost]
        self.counters.lost_ranges += len(gaps)
        started = self._monotonic()
        delivered = await self._store.deliver(Batch(more=[*(record for record, _ in records), *gaps]))
        self.counters.write_seconds.observe(self._monotonic() - started)
        self.counters.stored += delivered.written
        letters += self._refused(delivered, records)
        if letters:
            self._count_reasons(letters)
            await self._bus.bury(letters)

    def _refused(self, delivered: Delivered, records: list[tuple[Record, Message]]) -> list[DeadLetter]:
        if not delivered.refused:
            return []
        self.counters.refused += len(delivered.refused)
        messages = {id(record): message for record, message in records}
        letters = []
        for refused in delivered.refused:
            message = messages.get(id(refused.record))
            if message is None:  # a gap that this sink made itself
                self._notices.error(f"the store refused {refused.record!r}: {refused.reason}")
            else:
                letters.append(DeadLetter(refused.reason, message.value, message.key, message.place))
        return letters

    def _count_reasons(self, letters: list[DeadLetter]) -> None:
        for letter in letters:
            words = " ".join(letter.reason.split()[:6])[:80]  # a label of a metric
            known = words in self.counters.reasons or len(self.counters.reasons) < 32
            kind = words if known else "other"
            self.counters.reasons[kind] = self.counters.reasons.get(kind, 0) + 1

    # -- committing --------------------------------------------------------------------------------------------------

    async def _commit(self) -> None:
        while (taken := await self._taken.get()) is not None:
            parcel, keeping = taken
            try:
                await keeping
                self.counters.parcels += 1
                if await self._consumer.commit(parcel):
                    self.counters.committed += 1
                else:
                    self.counters.uncommitted += 1
            except asyncio.CancelledError:
                keeping.cancel()
                raise
            finally:
                self.counters.under_way -= 1
                self._sent_at.popleft()
                self._room.release()


def _read(messages: tuple[Message, ...]) -> tuple[list[tuple[Record, Message]], list[DeadLetter]]:
    records: list[tuple[Record, Message]] = []
    letters: list[DeadLetter] = []
    for message in messages:
        try:
            records.append((decode(message.value), message))
        except UnreadableMessageError as error:
            letters.append(DeadLetter(str(error), message.value, message.key, message.place))
    return records, letters


def _gap(lost: Lost, found_at: datetime) -> Gap:
    """What the bus lost, beside the gaps of the watches: by offsets instead of resource versions."""
    return Gap(
        cluster=f"{lost.topic}/{lost.partition}",
        from_version=str(lost.first),
        to_version="" if lost.last is None else str(lost.last),
        found_at=found_at,
        why=f"Kafka offsets: {lost.why}",
    )


def _joined(first: Parcel, second: Parcel) -> Parcel:
    lost = (*first.lost, *second.lost)
    if first.generation != second.generation:
        # The share changed: what was taken before comes again, to whoever owns its partition now.
        return Parcel(second.messages, lost, second.generation)
    return Parcel((*first.messages, *second.messages), lost, first.generation)


def _oldest(parcel: Parcel, taken_at: datetime) -> float:
    """When the oldest message was published; a bus that does not keep it has it from when it was taken."""
    return min((each.sent_at_seconds for each in parcel.messages if each.sent_at_seconds), default=taken_at.timestamp())


def _size_bytes(parcel: Parcel) -> int:
    return sum(len(message.value) for message in parcel.messages)
