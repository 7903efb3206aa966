"""What a broker with ACLs allows, asked without leaving a trace."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from pullstudy.bus.kafka.rights import kafka_rights
from pullstudy.bus.kafka.settings import KafkaSettings, Security
from pullstudy.bus.kafka.topics import ensure_topics
from tests.stack.home import StackHome
from tests.stack.kafka import Kafka
from tests.stack.kafka import Security as Asked

pytestmark = pytest.mark.real

PASSWORDS = {"admin": "a", "nobody": "b", "writer": "c"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """A broker on which users may do only what they are allowed to."""
    asked = Asked(users=PASSWORDS, acl=True)
    async with Kafka(stack_home, tmp_path_factory.mktemp("kafka"), security=asked) as kafka:
        await kafka.allow("writer", "Write", "Describe", topics="there")
        await ensure_topics(settings(kafka, "admin", "there"))
        yield kafka


def settings(broker: Kafka, user: str, topic: str = "there") -> KafkaSettings:
    security = Security(protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-512", username=user, password=PASSWORDS[user])
    return KafkaSettings(broker.bootstrap, topic=topic, security=security)


async def rights(broker: Kafka, user: str, topic: str) -> dict[str, type[KafkaError] | None]:
    async with kafka_rights(settings(broker, user)) as asking:
        found = {
            "create": await asking.why_not_create(topic),
            "write": await asking.why_not_write(topic),
            "read": await asking.why_not_read(topic),
            "join": await asking.why_not_join("group"),
        }
    return {name: None if error is None else type(error) for name, error in found.items()}


async def test_who_may_do_everything_is_told_so_and_nothing_is_left_behind(broker: Kafka) -> None:
    for topic in ("there", "not-there"):
        assert await rights(broker, "admin", topic) == dict.fromkeys(("create", "write", "read", "join"))
    async with kafka_rights(settings(broker, "admin")) as asking:
        assert await asking.partitions("there") == 6
        assert await asking.partitions("not-there") is None
    admin = AIOKafkaAdminClient(**settings(broker, "admin").client_options())
    await admin.start()
    try:
        assert set(await admin.list_topics()) == {"there", "there-context", "there-dead"}
        assert await admin.list_consumer_groups() == []
    finally:
        await admin.close()


async def test_what_is_not_allowed_is_named_one_by_one(broker: Kafka) -> None:
    topic, group = TopicAuthorizationFailedError, GroupAuthorizationFailedError
    assert await rights(broker, "nobody", "there") == {"create": topic, "write": topic, "read": topic, "join": group}
    assert await rights(broker, "writer", "there") == {"create": topic, "write": None, "read": topic, "join": group}
    async with kafka_rights(settings(broker, "nobody")) as asking:
        with pytest.raises(TopicAuthorizationFailedError):
            await asking.partitions("there")


async def test_no_message_was_written_by_asking(broker: Kafka, tmp_path: Path) -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(**settings(broker, "admin").client_options())
    await consumer.start()
    try:
        places = [TopicPartition("there", number) for number in range(6)]
        assert set((await consumer.end_offsets(places)).values()) == {0}
    finally:
        await consumer.stop()
