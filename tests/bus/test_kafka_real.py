"""A real Kafka that is killed, frozen, refuses, forgets: every message is there, and every wait has an end."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from pullstudy.bus.kafka.bus import KafkaBus
from pullstudy.bus.kafka.consumer import KafkaGroupMember
from pullstudy.bus.kafka.settings import KafkaSettings, Security, TopicSettings
from pullstudy.bus.kafka.topics import ensure_topics
from pullstudy.bus.record_format import decode
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from tests.notices import KeptNotices
from tests.stack.home import StackHome
from tests.stack.kafka import Kafka
from tests.stack.kafka import Security as BrokerSecurity
from tests.stack.wait import until as wait_until
from tests.store.records import pull

pytestmark = pytest.mark.real
SOON = Backoff(first_seconds=0.05, most_seconds=0.3)


def settings_for(kafka: Kafka, topic: str = "pulls", **more: Any) -> KafkaSettings:
    plain: dict[str, Any] = {
        "bootstrap": kafka.bootstrap,
        "topic": topic,
        "topics": TopicSettings(partitions=3),
        "backoff": SOON,
        "request_seconds": 3.0,
        "stalled_seconds": 1.0,
        "close_seconds": 2.0,
        "commit_seconds": 3.0,
        "session_seconds": 10.0,
        "metadata_seconds": 1.0,
    }
    return KafkaSettings(**{**plain, **more})


def new_bus(settings: KafkaSettings) -> KafkaBus:
    return KafkaBus(settings, KeptNotices(), Random(1))


def pulls(number: int, start: int = 0) -> Batch:
    return Batch(pulls=tuple(pull(f"u{each:05}", node=f"n{each % 11}") for each in range(start, start + number)))


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await wait_until(holds, 90, "the bus to get there")


async def everything(settings: KafkaSettings, group: str = "oracle") -> Counter[str]:
    """How often each uid is on the topic."""
    bus = new_bus(settings)
    member = await bus.consume(group)
    found: Counter[str] = Counter()
    empty = 0
    while empty < 3:
        parcel = await member.take(5_000, 32 << 20, 1.0)
        empty = 0 if parcel.messages else empty + 1
        found.update(decode(message.value).event_uid for message in parcel.messages)  # type: ignore[attr-defined]
    await member.close()
    return found


async def test_a_broker_killed_while_it_is_published_to_loses_no_record(own_kafka: Kafka) -> None:
    settings = settings_for(own_kafka)
    bus = new_bus(settings)

    async def publish() -> None:
        for start in range(0, 6_000, 200):
            await bus.publish(pulls(200, start))

    publishing = asyncio.create_task(publish())
    await until(lambda: bus.counters.messages >= 1_000)
    own_kafka.kill()
    await until(lambda: bus.trouble.reason is not None)
    assert not publishing.done()
    await own_kafka.start()
    await publishing
    assert bus.trouble.reason is None
    await bus.close()
    assert set(await everything(settings)) == {f"u{each:05}" for each in range(6_000)}


async def test_a_frozen_broker_loses_and_doubles_no_record(own_kafka: Kafka) -> None:
    settings = settings_for(own_kafka, stalled_seconds=2.0)
    bus = new_bus(settings)
    await bus.publish(pulls(100))
    own_kafka.freeze()
    publishing = asyncio.create_task(bus.publish(pulls(500, 100)))
    await until(lambda: bus.trouble.reason is not None)
    await asyncio.sleep(4)
    own_kafka.thaw()
    assert (await publishing).sent == 500
    await bus.close()
    assert await everything(settings) == Counter(f"u{each:05}" for each in range(600))


async def test_closing_ends_in_time_with_the_broker_dead(own_kafka: Kafka) -> None:
    settings = settings_for(own_kafka)
    bus = new_bus(settings)
    member = await bus.consume("g")
    await bus.publish(pulls(10))
    await member.take(10, 1 << 20, 10.0)
    own_kafka.kill()
    publishing = asyncio.create_task(bus.publish(pulls(10, 10)))
    await asyncio.sleep(0.5)
    started = time.monotonic()
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing
    await bus.close()
    await member.close()
    assert time.monotonic() - started < 3 * settings.close_seconds + 4


async def test_closing_ends_in_time_with_the_broker_frozen(own_kafka: Kafka) -> None:
    settings = settings_for(own_kafka, close_seconds=1.0)
    bus = new_bus(settings)
    member = await bus.consume("g")
    await bus.publish(pulls(10))
    parcel = await member.take(10, 1 << 20, 10.0)
    own_kafka.freeze()
    assert not await member.commit(parcel)
    started = time.monotonic()
    await bus.close()
    await member.close()
    assert time.monotonic() - started < 10
    own_kafka.thaw()


async def test_a_topic_whose_limit_was_lowered_meanwhile_poisons_nothing(kafka: Kafka, topic: str) -> None:
    """Every later send of the same producer would fail with an out-of-order sequence."""
    settings = settings_for(kafka, topic)
    bus = new_bus(settings)
    await bus.publish(pulls(5))
    await _configure(settings, {"max.message.bytes": "2000"})
    # Random text, so that compression does not make it small.
    random = Random(7)
    noisy = pull("noisy", node="n1", error="".join(chr(random.randrange(0x4E00, 0x9FFF)) for _ in range(3_000)))
    published = await bus.publish(Batch(pulls=(*pulls(20, 5).pulls, noisy, *pulls(20, 25).pulls)))
    assert (published.sent, published.dead) == (40, 1)
    await bus.publish(pulls(5, 45))
    await bus.close()
    assert set(await everything(settings)) == {f"u{each:05}" for each in range(50)}
    assert await _dead_values(settings) == 1


async def _configure(settings: KafkaSettings, values: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic, configs=values)])
    await admin.close()


async def _dead_values(settings: KafkaSettings) -> int:
    place = TopicPartition(settings.dead_topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=settings.bootstrap) as consumer:
        consumer.assign([place])
        return int((await consumer.end_offsets([place]))[place])


async def test_a_topic_deleted_and_made_anew_is_read_from_its_new_beginning(own_kafka: Kafka) -> None:
    settings = settings_for(own_kafka)
    bus = new_bus(settings)
    member = await bus.consume("g")
    await bus.publish(pulls(300))
    found: set[str] = set()
    await _take_until(member, found, 300)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    await admin.delete_topics([settings.topic])
    await admin.close()
    await asyncio.sleep(0.5)
    await ensure_topics(settings)
    await bus.publish(pulls(40, 1_000))
    await _take_until(member, found, 340)
    assert {uid for uid in found if uid >= "u01000"} == {f"u{each:05}" for each in range(1_000, 1_040)}
    await member.close()
    await bus.close()


async def _take_until(member: KafkaGroupMember, found: set[str], number: int) -> None:
    """Take and commit until so many uids were found."""
    started = time.monotonic()
    while len(found) < number:
        parcel = await member.take(1_000, 8 << 20, 0.5)
        found |= {decode(message.value).event_uid for message in parcel.messages}  # type: ignore[attr-defined]
        await member.commit(parcel)
        assert time.monotonic() - started < 60, f"{len(found)} of {number}: {member.counters}"


async def test_a_second_member_comes_and_goes_and_every_record_is_taken(kafka: Kafka, topic: str) -> None:
    settings = settings_for(kafka, topic)
    bus = new_bus(settings)
    seen: set[str] = set()
    done = asyncio.Event()

    async def work(member: KafkaGroupMember, most_parcels: int) -> None:
        for _ in range(most_parcels):
            if done.is_set():
                break
            parcel = await member.take(50, 8 << 20, 0.1)
            await asyncio.sleep(0.01)
            seen.update(decode(message.value).event_uid for message in parcel.messages)  # type: ignore[attr-defined]
            await member.commit(parcel)
        await member.close()

    async def publish() -> None:
        for start in range(0, 3_000, 100):
            await bus.publish(pulls(100, start))

    async with asyncio.TaskGroup() as group:
        group.create_task(publish())
        group.create_task(work(await bus.consume("g"), 100_000))
        for _ in range(3):
            await work(await bus.consume("g"), 10)
        await until(lambda: len(seen) == 3_000)
        done.set()
    await bus.close()


async def test_a_loop_that_stalls_costs_a_rebalance_at_most(kafka: Kafka, topic: str) -> None:
    settings = settings_for(kafka, topic, session_seconds=6.0, heartbeat_seconds=1.0)
    bus = new_bus(settings)
    member = await bus.consume("g")
    await bus.publish(pulls(100))
    parcel = await member.take(50, 8 << 20, 10.0)
    time.sleep(8)  # noqa: ASYNC251
    await member.commit(parcel)
    # What was taken before is stored by now, so that it need not come again; it may.
    taken = {decode(message.value).event_uid for message in parcel.messages}  # type: ignore[attr-defined]
    await _take_until(member, taken, 100)
    await bus.publish(pulls(50, 100))
    await _take_until(member, taken, 150)
    assert taken == {f"u{each:05}" for each in range(150)}
    await member.close()
    await bus.close()


async def test_tls_and_sasl_from_files(stack_home: StackHome, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("word\n")
    asked = BrokerSecurity(tls=True, users={"collector": "word", "admin": "other"})
    async with Kafka(stack_home, tmp_path / "kafka", security=asked) as broker:
        assert broker.authority is not None
        environment = {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": "collector",
            "KAFKA_SASL_PASSWORD_FILE": str(secret),
            "KAFKA_SSL_CAFILE": str(broker.authority.certificate),
        }
        for mechanism in ("PLAIN", "SCRAM-SHA-512"):
            security = Security.from_environment({**environment, "KAFKA_SASL_MECHANISM": mechanism})
            settings = settings_for(broker, mechanism.lower(), security=security)
            bus = new_bus(settings)
            assert (await bus.publish(pulls(5))).sent == 5
            await bus.close()
            assert len(await everything(settings)) == 5


async def test_a_refused_password_is_an_alarm_and_nothing_is_discarded(stack_home: StackHome, tmp_path: Path) -> None:
    asked = BrokerSecurity(users={"collector": "word", "admin": "other"})
    async with Kafka(stack_home, tmp_path / "kafka", security=asked) as broker:
        security = Security(protocol="SASL_PLAINTEXT", username="collector", password="guess")
        bus = new_bus(settings_for(broker, security=security))
        publishing = asyncio.create_task(bus.publish(pulls(1)))
        await until(lambda: bus.trouble.reason is not None)
        await asyncio.sleep(0.5)
        assert not publishing.done()
        assert bus.trouble.alarm, bus.trouble.reason
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        await bus.close()


async def test_a_user_that_may_not_write_is_told_so_in_one_line_and_goes_on_once_it_may(
    stack_home: StackHome, tmp_path: Path
) -> None:
    asked = BrokerSecurity(users={"collector": "word", "admin": "other"}, acl=True)
    async with Kafka(stack_home, tmp_path / "kafka", security=asked) as broker:
        admin = Security(protocol="SASL_PLAINTEXT", username="admin", password="other")
        await ensure_topics(settings_for(broker, security=admin))
        await broker.allow("collector", "Describe", "DescribeConfigs", topics="pulls")
        security = Security(protocol="SASL_PLAINTEXT", username="collector", password="word")
        notices = KeptNotices()
        bus = KafkaBus(settings_for(broker, security=security), notices, Random(1))
        publishing = asyncio.create_task(bus.publish(pulls(1)))
        await until(lambda: bus.trouble.reason is not None)
        assert bus.trouble.alarm
        (told,) = notices.lines
        assert told[0] == "error"
        assert "the user may not write: allow Write on the topics" in told[1]
        assert "\n" not in told[1]
        await broker.allow("collector", "Write", topics="pulls")
        assert (await publishing).sent == 1
        await bus.close()
