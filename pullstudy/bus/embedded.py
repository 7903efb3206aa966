"""A bus inside of one process, with partitions, groups, rebalancing, retention and a limit of message size, as Kafka.

For one process that wants the production path without a broker, and for tests: what is published is lost with the
process, and is durable in no other sense.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

from pullstudy.bus.protocol import BusError, Consumer, DeadLetter, Lost, Message, Parcel, Published
from pullstudy.bus.record_format import encode, is_main, key
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Record
from pullstudy.pulls.kinds import DEFAULT_NAME

PULLS, CONTEXT = DEFAULT_NAME, f"{DEFAULT_NAME}-context"
TOPICS = (PULLS, CONTEXT)
Partition = tuple[str, int]


@dataclass
class _Log:
    """One partition: the messages that are still there, and where they begin."""

    messages: list[Message] = field(default_factory=list)
    begin: int = 0

    @property
    def end(self) -> int:
        return self.begin + len(self.messages)


@dataclass
class _Group:
    members: list["EmbeddedConsumer"] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=dict)
    generation: int = 0


class EmbeddedBus:
    """Keeps all messages in memory."""

    def __init__(self, *, partitions: int = 3, most_message_bytes: int = 1 << 20) -> None:
        self._partitions = partitions
        self._most_message_bytes = most_message_bytes
        self._logs: dict[Partition, _Log] = defaultdict(_Log)
        self._groups: dict[str, _Group] = defaultdict(_Group)
        self._arrived = asyncio.Condition()
        self._closed = False
        self.dead: list[DeadLetter] = []

    async def publish(self, batch: Batch) -> Published:
        letters = [letter for record in batch.records() if (letter := self._append_record(record)) is not None]
        self.dead.extend(letters)
        async with self._arrived:
            self._arrived.notify_all()
        return Published(sent=len(batch) - len(letters), dead=len(letters))

    def _append_record(self, record: Record) -> DeadLetter | None:
        try:
            value = encode(record)
        except ValueError as error:
            return DeadLetter(f"the record cannot be written as JSON: {error}", repr(record).encode("ascii", "replace"))
        if len(value) > self._most_message_bytes:
            reason = f"the message of {len(value)} bytes is over the limit of {self._most_message_bytes}"
            return DeadLetter(reason, value, key(record))
        self.append(PULLS if is_main(record) else CONTEXT, key(record), value)
        return None

    def append(self, topic: str, message_key: bytes, value: bytes) -> Message:
        """Put any bytes at the end of the key's partition."""
        if self._closed:
            raise BusError("the bus is closed")
        partition = crc32(message_key) % self._partitions
        log = self._logs[topic, partition]
        message = Message(topic, partition, log.end, message_key, value)
        log.messages.append(message)
        return message

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.dead.extend(letters)

    async def consume(self, group: str) -> Consumer:
        consumer = EmbeddedConsumer(self, group)
        self._groups[group].members.append(consumer)
        self._rebalance(group)
        return consumer

    async def close(self) -> None:
        self._closed = True

    def forget(self, topic: str, partition: int, before: int) -> None:
        """What retention does: the messages before the offset are gone."""
        log = self._logs[topic, partition]
        log.messages, log.begin = log.messages[max(0, before - log.begin) :], max(log.begin, before)

    def committed(self, group: str) -> dict[Partition, int]:
        return dict(self._groups[group].committed)

    def lag(self, group: str) -> int:
        """Messages that the group has still to take."""
        committed = self._groups[group].committed
        return sum(log.end - max(committed.get(place, 0), log.begin) for place, log in self._logs.items())

    # -- for its consumers -------------------------------------------------------------------------------------------

    def _rebalance(self, name: str) -> None:
        group = self._groups[name]
        group.generation += 1
        every = [(topic, partition) for topic in TOPICS for partition in range(self._partitions)]
        for position, member in enumerate(group.members):
            share = every[position :: len(group.members)]
            member.assign({place: group.committed.get(place, 0) for place in share}, group.generation)

    def leave(self, name: str, member: "EmbeddedConsumer") -> None:
        group = self._groups[name]
        if member in group.members:
            group.members.remove(member)
            self._rebalance(name)

    def read(self, place: Partition, offset: int, most: int) -> tuple[list[Message], Lost | None]:
        log = self._logs[place]
        if log.begin <= offset <= log.end:
            return log.messages[offset - log.begin : offset - log.begin + most], None
        topic, partition = place
        if offset > log.end:
            return [], Lost(topic, partition, offset, None, "the partition was made anew")
        return [], Lost(topic, partition, offset, log.begin - 1, "deleted by retention before it was read")

    def begin(self, place: Partition) -> int:
        return self._logs[place].begin

    def commit(self, name: str, parcel: Parcel) -> bool:
        group = self._groups[name]
        if parcel.generation != group.generation:
            return False
        group.committed |= parcel.next_offsets()
        return True

    async def wait_for_more(self, seconds: float) -> None:
        async with self._arrived:
            try:
                await asyncio.wait_for(self._arrived.wait(), seconds)
            except TimeoutError:
                return


class EmbeddedConsumer:
    """One member of a group."""

    def __init__(self, bus: EmbeddedBus, group: str) -> None:
        self._bus = bus
        self._group = group
        self._positions: dict[Partition, int] = {}
        self._generation = 0

    def assign(self, positions: dict[Partition, int], generation: int) -> None:
        self._positions, self._generation = positions, generation

    async def take(self, most_messages: int, most_bytes: int, wait_seconds: float) -> Parcel:
        parcel = self._take_now(most_messages, most_bytes)
        if not parcel.messages and not parcel.lost:
            await self._bus.wait_for_more(wait_seconds)
            parcel = self._take_now(most_messages, most_bytes)
        return parcel

    def _take_now(self, most_messages: int, most_bytes: int) -> Parcel:
        taken: list[Message] = []
        lost: list[Lost] = []
        size = 0
        for place, position in self._positions.items():
            found, gone = self._bus.read(place, position, most_messages - len(taken))
            if gone is not None:
                lost.append(gone)
                self._positions[place] = self._bus.begin(place)
            for message in found:
                if size >= most_bytes:
                    break
                taken.append(message)
                size += len(message.value)
                self._positions[place] = message.offset + 1
        return Parcel(tuple(taken), tuple(lost), self._generation)

    async def commit(self, parcel: Parcel) -> bool:
        return self._bus.commit(self._group, parcel)

    async def close(self) -> None:
        self._bus.leave(self._group, self)
