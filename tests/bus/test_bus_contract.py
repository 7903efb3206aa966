"""What every bus does, the same: on the embedded one, and on a real Kafka (marked ``real``)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from pullstudy.bus.embedded import EmbeddedBus
from pullstudy.bus.kafka.bus import KafkaBus
from pullstudy.bus.kafka.settings import KafkaSettings, TopicSettings
from pullstudy.bus.kafka.topics import ensure_topics
from pullstudy.bus.protocol import Bus, Consumer, DeadLetter, Parcel
from pullstudy.bus.record_format import decode, encode
from pullstudy.pulls.batch import Batch
from tests.notices import KeptNotices
from tests.stack.kafka import Kafka
from tests.store.records import gap, milestone, pull, reject

LIMIT = 8_192
WAIT = 0.3


@dataclass(frozen=True)
class Dead:
    """A dead letter as somebody finds it who looks."""

    value: bytes
    reason: str
    source: str


class Case(Protocol):
    """One kind of bus, empty, for one test, and what else the test may do to it."""

    pulls_topic: str

    def open(self) -> Bus: ...

    async def put(self, key: bytes, value: bytes) -> tuple[int, int]: ...

    async def dead(self) -> list[Dead]: ...

    async def forget(self, partition: int, before: int) -> None: ...


class EmbeddedCase:
    pulls_topic = "pulls"

    def __init__(self) -> None:
        self._bus = EmbeddedBus(most_message_bytes=LIMIT)

    def open(self) -> Bus:
        return self._bus

    async def put(self, key: bytes, value: bytes) -> tuple[int, int]:
        message = self._bus.append("pulls", key, value)
        return message.partition, message.offset

    async def dead(self) -> list[Dead]:
        return [Dead(letter.value, letter.reason, letter.source) for letter in self._bus.dead]

    async def forget(self, partition: int, before: int) -> None:
        self._bus.forget("pulls", partition, before)


class KafkaCase:
    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.pulls_topic = topic
        self._bootstrap = kafka.bootstrap
        self.settings = KafkaSettings(
            bootstrap=kafka.bootstrap,
            topic=topic,
            topics=TopicSettings(partitions=3, message_bytes=LIMIT),
            metadata_seconds=1.0,
        )

    def open(self) -> Bus:
        return KafkaBus(self.settings, KeptNotices(), Random(1))

    async def put(self, key: bytes, value: bytes) -> tuple[int, int]:
        await ensure_topics(self.settings)
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap) as producer:
            sent = await producer.send_and_wait(self.pulls_topic, value, key)
        return sent.partition, sent.offset

    async def dead(self) -> list[Dead]:
        place = TopicPartition(self.settings.dead_topic, 0)
        async with AIOKafkaConsumer(bootstrap_servers=self._bootstrap) as consumer:
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            found: list[Dead] = []
            while len(found) < end:
                message = await consumer.getone()
                headers = dict(message.headers)
                found.append(Dead(message.value, headers["reason"].decode(), headers["source"].decode()))
        return found

    async def forget(self, partition: int, before: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        await admin.delete_records({TopicPartition(self.pulls_topic, partition): RecordsToDelete(before)})
        await admin.close()


KINDS = ["embedded", pytest.param("kafka", marks=pytest.mark.real)]
Opener = Callable[[], Bus]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "embedded":
        return EmbeddedCase()
    return KafkaCase(request.getfixturevalue("kafka"), request.getfixturevalue("topic"))


@pytest.fixture
async def bus(case: Case) -> AsyncIterator[Bus]:
    made = case.open()
    yield made
    await made.close()


@pytest.fixture
async def join(bus: Bus) -> AsyncIterator[Callable[..., Awaitable[Consumer]]]:
    """Joins a group; what is still a member at the end leaves."""
    joined: list[Consumer] = []

    async def consume(group: str = "g") -> Consumer:
        joined.append(await bus.consume(group))
        return joined[-1]

    yield consume
    for consumer in joined:
        await consumer.close()


Join = Callable[..., Awaitable[Consumer]]


async def take_all(consumer: Consumer, number: int, *, commit: bool = True) -> list[Parcel]:
    """Parcels until so many messages came."""
    parcels: list[Parcel] = []
    while sum(len(parcel.messages) for parcel in parcels) < number:
        parcel = await consumer.take(1_000, 1 << 20, WAIT)
        if parcel.messages or parcel.lost:
            parcels.append(parcel)
            if commit:
                assert await consumer.commit(parcel)
    return parcels


def uids(parcels: list[Parcel]) -> list[str]:
    return sorted(decode(message.value).event_uid for parcel in parcels for message in parcel.messages)  # type: ignore[attr-defined]


def pulls(*numbers: int, node: str = "n") -> Batch:
    return Batch(pulls=tuple(pull(f"u{number:04}", node=node) for number in numbers))


async def test_each_record_of_every_kind_is_one_message(bus: Bus, join: Join) -> None:
    batch = Batch(pulls=(pull("a"), pull("b")), milestones=(milestone(),), rejects=(reject(),), gaps=(gap(),))
    published = await bus.publish(batch)
    assert (published.sent, published.dead) == (5, 0)
    (parcels) = await take_all(await join(), 5)
    found = [decode(message.value) for parcel in parcels for message in parcel.messages]
    assert sorted(map(repr, found)) == sorted(map(repr, [*batch.pulls, milestone(), reject(), gap()]))


async def test_pulls_are_alone_in_their_topic(case: Case, bus: Bus, join: Join) -> None:
    await bus.publish(Batch(pulls=(pull(),), milestones=(milestone(),)))
    messages = [message for parcel in await take_all(await join(), 2) for message in parcel.messages]
    assert {message.topic for message in messages} == {case.pulls_topic, f"{case.pulls_topic}-context"}
    assert [decode(m.value) for m in messages if m.topic == case.pulls_topic] == [pull()]


async def test_a_nodes_pulls_stay_in_order(bus: Bus, join: Join) -> None:
    for start in range(0, 200, 50):
        await bus.publish(
            Batch(pulls=tuple(pull(f"{number:04}", node=f"n{number % 7}") for number in range(start, start + 50)))
        )
    seen: dict[str, list[str]] = {}
    for parcel in await take_all(await join(), 200):
        for message in parcel.messages:
            record = decode(message.value)
            seen.setdefault(record.node or "", []).append(record.event_uid)  # type: ignore[attr-defined]
    assert len(seen) == 7
    assert all(found == sorted(found) for found in seen.values())


async def test_a_new_member_goes_on_behind_what_was_committed(bus: Bus, join: Join) -> None:
    await bus.publish(pulls(*range(20)))
    first = await join()
    await take_all(first, 20)
    await first.close()
    await bus.publish(pulls(20, 21))
    assert uids(await take_all(await join(), 2)) == ["u0020", "u0021"]


async def test_what_was_taken_and_not_committed_comes_again(bus: Bus, join: Join) -> None:
    await bus.publish(pulls(*range(20)))
    dying = await join()
    await take_all(dying, 20, commit=False)
    await dying.close()
    assert len(set(uids(await take_all(await join(), 20)))) == 20


async def test_only_what_is_in_the_parcel_is_committed(bus: Bus, join: Join) -> None:
    await bus.publish(pulls(*range(20)))
    first = await join()
    stored = await first.take(5, 1 << 20, 5.0)
    handed_out = await first.take(5, 1 << 20, 5.0)
    assert len(handed_out.messages) == 5
    assert await first.commit(stored)
    await first.close()
    assert uids(await take_all(await join(), 15)) == [f"u{number:04}" for number in range(5, 20)]


async def test_each_group_has_offsets_of_its_own(bus: Bus, join: Join) -> None:
    await bus.publish(pulls(*range(5)))
    for group in ("g1", "g2"):
        assert len(uids(await take_all(await join(group), 5))) == 5


async def test_two_members_share_the_work_and_nothing_is_left_over(bus: Bus, join: Join) -> None:
    members = [await join(), await join()]
    seen: list[set[str]] = [set(), set()]
    for number in range(40):
        await bus.publish(pulls(number, node=f"n{number}"))

    async def work(position: int) -> None:
        while len(seen[0] | seen[1]) < 40:
            parcel = await members[position].take(10, 1 << 20, 0.05)
            if parcel.messages:
                seen[position] |= set(uids([parcel]))
                await members[position].commit(parcel)

    async with asyncio.TaskGroup() as group:
        group.create_task(work(0))
        group.create_task(work(1))
    assert len(seen[0] | seen[1]) == 40


async def test_a_parcel_of_a_share_that_is_gone_is_not_committed(bus: Bus, join: Join) -> None:
    await bus.publish(Batch(pulls=tuple(pull(f"u{number}", node=f"n{number}") for number in range(30))))
    first = await join()
    parcel = await first.take(30, 1 << 20, 10.0)
    assert parcel.messages
    second = await join()

    async def join_for_real() -> None:
        while True:
            await second.take(1, 1 << 20, 0.05)

    joining = asyncio.create_task(join_for_real())
    while (await first.take(1, 1 << 20, 0.05)).generation == parcel.generation:
        pass
    joining.cancel()
    await asyncio.wait([joining])
    assert not await first.commit(parcel)


async def test_parcels_are_bounded_by_messages_and_by_bytes(bus: Bus, join: Join) -> None:
    await bus.publish(pulls(*range(60)))
    consumer = await join()
    assert len((await consumer.take(7, 1 << 20, 10.0)).messages) <= 7
    size = len(encode(pull("u0000", node="n")))
    few = await consumer.take(53, 1, 10.0)
    assert 1 <= len(few.messages) <= 53
    assert size > 1


async def test_an_empty_bus_gives_an_empty_parcel_in_time(bus: Bus, join: Join) -> None:
    await bus.publish(pulls(1))
    consumer = await join()
    await take_all(consumer, 1)
    parcel = await consumer.take(10, 1 << 20, 0.01)
    assert (parcel.messages, parcel.lost) == ((), ())
    assert await consumer.commit(parcel)


async def test_an_oversized_record_is_a_dead_letter_and_the_next_arrives(case: Case, bus: Bus, join: Join) -> None:
    large = pull("large", node="n", error="e" * 2 * LIMIT)
    published = await bus.publish(Batch(pulls=(pull("before", node="n"), large, pull("after", node="n"))))
    assert (published.sent, published.dead) == (2, 1)
    await bus.publish(pulls(9))
    assert uids(await take_all(await join(), 3)) == ["after", "before", "u0009"]
    (dead,) = await case.dead()
    assert decode(dead.value) == large
    assert "limit" in dead.reason
    assert dead.source == ""


async def test_a_record_that_no_message_can_hold_is_a_dead_letter(case: Case, bus: Bus, join: Join) -> None:
    published = await bus.publish(Batch(pulls=(pull("odd", error="\ud800"), pull("even"))))
    assert (published.sent, published.dead) == (1, 1)
    assert uids(await take_all(await join(), 1)) == ["even"]
    (dead,) = await case.dead()
    assert "JSON" in dead.reason
    assert b"odd" in dead.value


async def test_an_unreadable_message_is_handed_out_with_its_place(case: Case, bus: Bus, join: Join) -> None:
    await bus.publish(pulls(1))
    partition, offset = await case.put(b"c/n", b"\x00 no record")
    messages = [message for parcel in await take_all(await join(), 2) for message in parcel.messages]
    (odd,) = [message for message in messages if message.value == b"\x00 no record"]
    assert odd.place == f"{case.pulls_topic}/{partition}@{offset}"
    await bus.bury([DeadLetter("unreadable", odd.value, odd.key, odd.place)])
    assert await case.dead() == [Dead(b"\x00 no record", "unreadable", odd.place)]


async def test_offsets_that_retention_took_before_they_were_read_are_said(case: Case, bus: Bus, join: Join) -> None:
    await bus.publish(pulls(*range(10)))
    first = await join()
    parcel = await first.take(3, 1 << 20, 10.0)
    assert await first.commit(parcel)
    (partition,) = {message.partition for message in parcel.messages}
    begin = parcel.messages[-1].offset + 1
    await first.close()
    await case.forget(partition, begin + 4)
    parcels = await take_all(await join(), 10 - 3 - 4)
    (lost,) = [lost for parcel in parcels for lost in parcel.lost]
    assert (lost.topic, lost.partition, lost.first, lost.last) == (case.pulls_topic, partition, begin, begin + 3)
    assert "retention" in lost.why
    assert uids(parcels) == ["u0007", "u0008", "u0009"]
