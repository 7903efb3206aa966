"""What the brokers allow the user, asked so that nothing is left behind: no message, no topic, no member of a group.

A broker looks at the right before it looks at anything else. So a message for a partition that no topic has is refused
for want of the right, or else for want of the partition; and a heartbeat of a member that no group has likewise.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.kafka.topics import new_topic

NO_PARTITION = 1_000_000  # more than a cluster can have of one topic
NO_MEMBER = "nobody"
_MAGIC = 2
_AUTHORIZATION_FAILED = (29, 30, 31)  # of a topic, a group, the cluster: Kafka's protocol/Errors.java


class KafkaRights:
    """Asks one cluster. Each question raises KafkaError where there is no answer at all."""

    def __init__(self, admin: AIOKafkaAdminClient, client: AIOKafkaClient, settings: KafkaSettings) -> None:
        self._admin = admin
        self._client = client
        self._settings = settings

    async def partitions(self, topic: str) -> int | None:
        """Of the topic; None where there is none. Raises TopicAuthorizationFailedError where nobody may look at it."""
        # describe_topics() of the client would have the broker make the topic.
        answer = await self._send(MetadataRequest([topic], allow_auto_topic_creation=False))
        ((code, _, _, partitions),) = answer.topics
        if code in _AUTHORIZATION_FAILED:
            raise for_code(code)()
        return len(partitions) if code == 0 else None

    async def why_not_create(self, topic: str) -> KafkaError | None:
        """Why the topic could not be made as it would be; None where it could."""
        brokers = len((await self._admin.describe_cluster())["brokers"])
        asked = [new_topic(topic, self._settings, brokers)]
        answer = await self._admin.create_topics(asked, validate_only=True)
        ((_, code, *text),) = answer.topic_errors
        error = for_code(code)
        return None if error in (NoError, TopicAlreadyExistsError) else error(text[0] if text else None)

    async def why_not_write(self, topic: str) -> KafkaError | None:
        """Why the user may not write to the topic; None where they may."""
        request = ProduceRequest(None, -1, 5_000, [(topic, [(NO_PARTITION, _empty_message())])])
        answer = await self._send(request)
        return _refusal(code for _, parts in answer.topics for _, code, *_ in parts)

    async def why_not_read(self, topic: str) -> KafkaError | None:
        """Why the user may not read the topic; None where they may."""
        answer = await self._send(FetchRequest(100, 1, 1_024, 0, [(topic, [(NO_PARTITION, 0, 1_024)])]))
        return _refusal(code for _, parts in answer.topics for _, code, *_ in parts)

    async def why_not_join(self, group: str) -> KafkaError | None:
        """Why the user may not read as a member of the group; None where they may."""
        answer = await self._send(HeartbeatRequest(group, 0, NO_MEMBER))
        return _refusal([answer.error_code])

    async def _send(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)


@asynccontextmanager
async def kafka_rights(settings: KafkaSettings) -> AsyncIterator[KafkaRights]:
    """Connected for as long as the block lasts. Raises KafkaError."""
    options = settings.client_options()
    admin, client = AIOKafkaAdminClient(**options), AIOKafkaClient(**options)
    try:
        await admin.start()
        await client.bootstrap()
        yield KafkaRights(admin, client, settings)
    finally:
        await client.close()
        await admin.close()


def _empty_message() -> bytes:
    builder = DefaultRecordBatchBuilder(_MAGIC, 0, 0, -1, -1, -1, 1_024)
    builder.append(0, int(time.time() * 1000), None, b"", [])
    return bytes(builder.build())


def _refusal(codes: Any) -> KafkaError | None:
    refused: Sequence[int] = [code for code in codes if code in _AUTHORIZATION_FAILED]
    return for_code(refused[0])() if refused else None
