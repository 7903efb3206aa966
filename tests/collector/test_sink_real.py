"""From a real Kafka to a real InfluxDB with everything killed on the way: nothing is lost, nothing is doubled."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from collector.delivering.sink import Sink, SinkSettings
from pullstudy.bus.kafka.bus import KafkaBus
from pullstudy.bus.kafka.settings import KafkaSettings, TopicSettings
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from tests.notices import KeptNotices
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.process import Process
from tests.stack.wait import until as wait_until
from tests.store.records import AT, pull

pytestmark = pytest.mark.real
SOON = Backoff(first_seconds=0.05, most_seconds=0.5)
SMALL = SinkSettings(batch_messages=100, linger_seconds=0.0, idle_seconds=0.1)


class Route:
    """A topic, a bucket, and the bus and the store to them."""

    def __init__(self, kafka: Kafka, topic: str, influx: Influx, bucket: str) -> None:
        self.kafka, self.influx, self.bucket = kafka, influx, bucket
        self.bus_settings = KafkaSettings(
            bootstrap=kafka.bootstrap,
            topic=topic,
            topics=TopicSettings(partitions=3),
            backoff=SOON,
            stalled_seconds=2.0,
            request_seconds=5.0,
            session_seconds=10.0,
        )
        self.store_settings = InfluxSettings(
            url=influx.url, organisation=influx.organisation, token=influx.token, bucket=bucket, backoff=SOON
        )
        self.notices = KeptNotices()
        self.bus = KafkaBus(self.bus_settings, self.notices, Random(1))

    async def publish(self, number: int, start: int = 0) -> None:
        for first in range(start, start + number, 500):
            numbers = range(first, min(first + 500, start + number))
            await self.bus.publish(Batch(pulls=tuple(_pull(each) for each in numbers)))

    async def points(self) -> int:
        """Counted by the server itself."""
        flux = (
            f'from(bucket: "{self.bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "pull" and'
            ' r._field == "event_uid") |> group() |> count()'
        )
        rows = await self.influx.query(flux)
        return int(rows[0]["_value"]) if rows else 0

    async def uids(self) -> list[str]:
        store = InfluxStore(self.store_settings, self.notices, Random(1))
        records: list[PullRecord] = await asyncio.to_thread(lambda: list(store.pulls()))
        return sorted(record.event_uid for record in records)

    async def wait_for(self, number: int) -> None:
        async def there() -> bool:
            return await self.points() >= number

        await wait_until(there, 120, f"{number} points")

    @asynccontextmanager
    async def sink(
        self, settings: SinkSettings = SMALL, group: str = "sink"
    ) -> AsyncIterator[tuple[Sink, InfluxStore]]:
        member = await self.bus.consume(group)
        store = InfluxStore(self.store_settings, self.notices, Random(1))
        sink = Sink(self.bus, member, store, settings, self.notices)
        stop = asyncio.Event()
        running = asyncio.create_task(sink.run(stop))
        try:
            yield sink, store
        finally:
            stop.set()
            await running
            await member.close()
            await store.close()

    def process(self, directory: Path, name: str) -> Process:
        """A sink to be killed."""
        command = [sys.executable, "-m", "tests.collector.sink_process"]
        arguments = [self.kafka.bootstrap, self.bus_settings.topic, self.bucket]
        environment = {**self.influx.environment(), "PYTHONPATH": os.getcwd()}
        return Process(name, [*command, *arguments], directory, environment=environment)


def _pull(number: int) -> PullRecord:
    # All within one second, and many with equal tags.
    return pull(f"u{number:05}", node=f"n{number % 5}", finished_at=AT, pull_seconds=number / 10, count=1)


def expected(number: int) -> list[str]:
    return [f"u{each:05}" for each in range(number)]


@pytest.fixture
async def route(kafka: Kafka, topic: str, influx: Influx, bucket: str) -> AsyncIterator[Route]:
    made = Route(kafka, topic, influx, bucket)
    yield made
    await made.bus.close()


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await wait_until(holds, 90, "the sink to get there")


async def test_each_record_is_one_point_and_a_replay_of_the_topic_changes_nothing(route: Route) -> None:
    await route.publish(5_000)
    async with route.sink() as (sink, _):
        await until(lambda: sink.counters.stored == 5_000)
    assert await route.points() == 5_000
    async with route.sink(group="another") as (sink, _):
        await until(lambda: sink.counters.stored == 5_000)
    assert await route.uids() == expected(5_000)


async def test_a_sink_killed_again_and_again_between_write_and_commit_is_exact(route: Route, tmp_path: Path) -> None:
    await route.publish(4_000)
    for kill in range(3):
        process = route.process(tmp_path, f"sink-{kill}")
        process.start()
        before = await route.points()
        await route.wait_for(min(before + 300, 4_000))
        process.kill()
    last = route.process(tmp_path, "sink-last")
    last.start()
    await route.wait_for(4_000)
    await last.stop()
    assert last.exit_code == 0, last.last_words()
    assert await route.uids() == expected(4_000)


async def test_influxdb_away_moves_no_offset_and_everything_comes_after(
    kafka: Kafka, topic: str, own_influx: Influx
) -> None:
    route = Route(kafka, topic, own_influx, own_influx.bucket)
    await route.publish(1_000)
    async with route.sink() as (sink, store):
        await until(lambda: sink.counters.committed >= 2)
        own_influx.kill()
        await route.publish(2_000, start=1_000)  # all before may be stored by now
        await until(lambda: store.counters.trouble is not None)
        committed = await _committed(route)
        await until(lambda: store.counters.repeats > 5)
        assert await _committed(route) == committed
        assert sink.counters.under_way <= SMALL.at_once
        await own_influx.start()
        await until(lambda: sink.counters.stored >= 3_000)
    assert await route.uids() == expected(3_000)
    await route.bus.close()


async def _committed(route: Route) -> dict[int, int | None]:
    topic = route.bus_settings.topic
    async with AIOKafkaConsumer(
        bootstrap_servers=route.kafka.bootstrap, group_id="sink", enable_auto_commit=False
    ) as asking:
        return {number: await asking.committed(TopicPartition(topic, number)) for number in range(3)}


async def test_kafka_killed_under_the_sink_loses_and_doubles_nothing(
    own_kafka: Kafka, influx: Influx, bucket: str
) -> None:
    route = Route(own_kafka, "pulls", influx, bucket)
    async with route.sink() as (sink, _):
        await route.publish(1_500)
        await until(lambda: sink.counters.stored >= 500)
        own_kafka.kill()
        publishing = asyncio.create_task(route.publish(1_500, start=1_500))
        await asyncio.sleep(1)
        await own_kafka.start()
        await publishing
        await route.wait_for(3_000)
    assert await route.uids() == expected(3_000)
    await route.bus.close()


async def test_refused_and_unreadable_messages_are_buried_and_the_rest_lands(route: Route) -> None:
    """One point has a type that conflicts with the bucket's, one message is no record."""
    await route.publish(50)
    async with route.sink() as (sink, _):
        await until(lambda: sink.counters.stored == 50)
        odd = pull("odd", node="n1", finished_at=AT, image_bytes=2**70)
        await route.bus.publish(Batch(pulls=(odd,)))
        await _put(route, b"\x00 no record")
        await route.publish(50, start=50)
        await until(lambda: sink.counters.stored == 100 and sink.counters.unreadable == 1)
        await until(lambda: sink.counters.refused == 1)
        await until(lambda: sink.counters.under_way == 0)
    letters = await _dead(route)
    assert sorted(reason.split(":")[0] for _, reason, _ in letters) == sorted(
        ["no record", f"the number {2**70} does not fit into 64 bits"]
    )
    assert all(source.startswith(route.bus_settings.topic + "/") for _, _, source in letters)
    assert await route.uids() == expected(100)


async def _put(route: Route, value: bytes) -> None:
    from aiokafka import AIOKafkaProducer

    async with AIOKafkaProducer(bootstrap_servers=route.kafka.bootstrap) as producer:
        await producer.send_and_wait(route.bus_settings.topic, value, b"c/n1")


async def _dead(route: Route) -> list[tuple[bytes, str, str]]:
    place = TopicPartition(route.bus_settings.dead_topic, 0)
    found: list[Any] = []
    async with AIOKafkaConsumer(bootstrap_servers=route.kafka.bootstrap) as consumer:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        while len(found) < end:
            found.append(await consumer.getone())
    return [
        (each.value, dict(each.headers)["reason"].decode(), dict(each.headers)["source"].decode()) for each in found
    ]
