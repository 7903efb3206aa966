"""Whatever the topic holds, each message ends as a record of the store or as a dead letter, and the sink goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from aiokafka import AIOKafkaProducer

from collector.delivering.sink import DeliveringStore, Sink, SinkSettings
from pullstudy.bus.embedded import PULLS, EmbeddedBus
from pullstudy.bus.kafka.bus import KafkaBus
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.protocol import Bus
from pullstudy.bus.record_format import encode
from pullstudy.pulls.batch import Batch
from pullstudy.store.influx.line_protocol import PointError, encode_point, parse_line
from pullstudy.store.protocol import Delivered, Refused
from tests.hostile.messages import mutated, named
from tests.notices import KeptNotices
from tests.stack.kafka import Kafka
from tests.store.records import AT, pull

Attack = Callable[..., None]
SETTINGS = SinkSettings(batch_messages=200, linger_seconds=0.0, idle_seconds=0.02, drain_seconds=10.0)


class Points:
    """A store that keeps the lines which InfluxDB would be sent: the encoder is the real one."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def deliver(self, batch: Batch) -> Delivered:
        refused = []
        for record in batch.records():
            try:
                line = encode_point(record)
                line.encode()
                if len(line) < 1_000:
                    parse_line(line)
                self.lines.append(line)
            except PointError as error:
                refused.append(Refused(record, str(error)))
        return Delivered(len(batch) - len(refused), tuple(refused))


@asynccontextmanager
async def sinking(bus: Bus, store: DeliveringStore) -> AsyncIterator[Sink]:
    member, stop = await bus.consume("g"), asyncio.Event()
    sink = Sink(bus, member, store, SETTINGS, KeptNotices())
    running = asyncio.create_task(sink.run(stop))
    try:
        yield sink
    finally:
        stop.set()
        await running  # raises what ended it
        await member.close()


async def until(sink: Sink, messages: int, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while sink.counters.messages < messages or sink.counters.under_way:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", sorted(named()))
async def test_one_message_ends_no_sink_and_the_next_is_stored(name: str, attack: Attack) -> None:
    attack(f"Kafka: {name}", "a dead letter with offset and reason, or stored")
    bus, store = EmbeddedBus(), Points()
    letter = bus.append(PULLS, b"k", named()[name])
    bus.append(PULLS, b"k", encode(pull("next", node="n", finished_at=AT)))
    async with sinking(bus, store) as sink:
        await until(sink, 2, 30)
    assert sum("next" in line for line in store.lines) == 1
    assert len(store.lines) + len(bus.dead) == 2
    for dead in bus.dead:
        assert dead.source == letter.place
        assert dead.value == letter.value
        assert dead.reason.splitlines() == [dead.reason]
    assert bus.lag("g") == 0


async def test_10_000_mutated_messages_are_each_stored_or_buried_and_all_good_ones_between_are_stored(
    attack: Attack,
) -> None:
    attack("Kafka: 10,000 mutated messages, embedded bus", "each stored or a dead letter with offset and reason")
    bus, store = EmbeddedBus(), Points()
    for place, message in enumerate(mutated(10_000, seed=13)):
        bus.append(PULLS, b"%d" % (place % 7), message)
        if place % 10 == 0:
            bus.append(PULLS, b"%d" % (place % 7), encode(pull(f"good-{place}", node="n", finished_at=AT)))
    async with sinking(bus, store) as sink:
        await until(sink, 11_000, 120)
    _all_accounted_for(sink, store, 11_000, good=1_000)
    assert len({dead.source for dead in bus.dead}) == len(bus.dead)
    assert all(dead.reason.splitlines() == [dead.reason] and dead.source for dead in bus.dead)
    assert bus.lag("g") == 0


@pytest.mark.real
async def test_10_000_mutated_messages_on_a_real_kafka_end_no_sink(kafka: Kafka, topic: str, attack: Attack) -> None:
    attack("Kafka: 10,000 mutated messages, real broker", "each stored or a dead letter with offset and reason")
    store = Points()
    bus = KafkaBus(KafkaSettings(bootstrap=kafka.bootstrap, topic=topic), KeptNotices(), Random(1))
    await bus.publish(Batch(pulls=(pull("good-first", node="n", finished_at=AT),)))  # makes the topics
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        for place, message in enumerate(mutated(10_000, seed=14)):
            await producer.send(topic, message, key=None if place % 3 else b"\xff\x00")
        await producer.flush()
        await bus.publish(Batch(pulls=tuple(pull(f"good-{n}", node=f"n{n}", finished_at=AT) for n in range(100))))
        async with sinking(bus, store) as sink:
            await until(sink, 10_101, 240)
    finally:
        await producer.stop()
        await bus.close()
    _all_accounted_for(sink, store, 10_101, good=101)


def _all_accounted_for(sink: Sink, store: Points, messages: int, good: int) -> None:
    counters = sink.counters
    assert counters.messages == messages
    assert counters.stored + counters.unreadable + counters.refused == messages
    assert len({line for line in store.lines if '"good-' in line}) == good
    assert counters.unreadable > messages // 4
    assert counters.refused > 0
    assert counters.stored > messages // 10
    assert len(counters.reasons) <= 33
    assert all(len(reason) <= 80 for reason in counters.reasons)
