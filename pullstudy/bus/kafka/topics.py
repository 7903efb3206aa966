"""The topics: made where there are none, and asked how large a message may be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from pullstudy.bus.kafka.settings import KafkaSettings

MESSAGE_LIMIT = "max.message.bytes"
_DEFAULT_MESSAGE_BYTES = 1_048_588  # Kafka's own, where the topic's limit may not be read


@dataclass(frozen=True)
class TopicLimits:
    """The largest batch that each topic takes, in bytes."""

    by_topic: dict[str, int]

    def of(self, topic: str) -> int:
        return self.by_topic.get(topic, _DEFAULT_MESSAGE_BYTES)


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**settings.client_options())
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def ensure_topics(settings: KafkaSettings) -> TopicLimits:
    """Make what is missing of the three topics; what is there is left as it is. Raises KafkaError."""
    async with _admin(settings) as client:
        topics = (settings.topic, settings.context_topic, settings.dead_topic)
        existing = await client.list_topics()
        missing = [name for name in topics if name not in existing]
        if missing:
            brokers = len((await client.describe_cluster())["brokers"])
            await _create(client, [new_topic(name, settings, brokers) for name in missing])
        return TopicLimits(await _message_bytes(client, topics))


def new_topic(name: str, settings: KafkaSettings, brokers: int) -> NewTopic:
    chosen = settings.topics
    dead = name == settings.dead_topic
    seconds = chosen.dead_retention_seconds if dead else chosen.retention_seconds
    return NewTopic(
        name,
        num_partitions=1 if dead else chosen.partitions,
        replication_factor=min(chosen.replication, brokers),
        topic_configs={
            "retention.ms": str(int(seconds * 1000)),
            MESSAGE_LIMIT: str(chosen.dead_message_bytes if dead else chosen.message_bytes),
        },
    )


async def _create(client: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    answer = await client.create_topics(topics)
    for name, code, *text in answer.topic_errors:
        error = for_code(code)
        # Another collector may have made it in the same moment.
        if error not in (NoError, TopicAlreadyExistsError):
            raise error(f"topic {name} cannot be made: {text[0] if text and text[0] else error.__name__}")


async def _message_bytes(client: AIOKafkaAdminClient, topics: tuple[str, ...]) -> dict[str, int]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, {MESSAGE_LIMIT: None}) for name in topics]
    answers = await client.describe_configs(resources)
    # A user that may not describe a topic gets a code instead of entries.
    entries = [(name, entry) for answer in answers for _, _, _, name, found in answer.resources for entry in found]
    return {name: int(entry[1]) for name, entry in entries if entry[0] == MESSAGE_LIMIT}
