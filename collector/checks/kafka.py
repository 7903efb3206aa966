"""Kafka: whether a broker lets the user in, what is there of the topics, and what the user may do with them."""

import os
import ssl
from dataclasses import replace

from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from collector.checks.finding import Finding, Findings, Place
from pullstudy.bus.kafka.errors import text
from pullstudy.bus.kafka.probe import connect_error
from pullstudy.bus.kafka.rights import KafkaRights, kafka_rights
from pullstudy.bus.kafka.settings import KafkaSettings

PATIENCE_SECONDS = 10.0  # for each question

place = Place("kafka")


class KafkaCheck:
    """Of one cluster of brokers."""

    def __init__(self, settings: KafkaSettings, group: str | None) -> None:
        """``group`` is the one that this process would read with; None where another process does."""
        self._settings = replace(settings, request_seconds=min(settings.request_seconds, PATIENCE_SECONDS))
        self._group = group

    async def findings(self) -> Findings:
        """Stops at what makes the rest pointless."""
        settings = self._settings
        refused = await connect_error(settings)
        if refused is not None:
            yield place.failed("brokers", f"{settings.bootstrap}: {_why(refused)}", _todo(refused))
            return
        try:
            async with kafka_rights(settings) as asking:
                yield place.ok("brokers", f"{settings.bootstrap} takes the connection{_as(settings)}")
                for topic in (settings.topic, settings.context_topic, settings.dead_topic):
                    async for finding in self._topic(asking, topic):
                        yield finding
                yield await self._membership(asking)
        except (KafkaError, OSError, TimeoutError) as error:
            yield place.failed("brokers", f"{settings.bootstrap}: {_why(error)}", _todo(error))

    async def _topic(self, asking: KafkaRights, topic: str) -> Findings:
        try:
            partitions = await asking.partitions(topic)
        except TopicAuthorizationFailedError:
            todo = f"allow Describe, Write and Read on topic {topic}"
            yield place.failed(f"topic {topic}", "may not be looked at", todo)
            return
        if partitions is None:
            yield await self._creation(asking, topic)
        else:
            yield place.ok(f"topic {topic}", f"is there, partitions: {partitions}")
        refused = await asking.why_not_write(topic)
        if refused is not None:
            yield place.failed(f"write {topic}", "the user may not write to it", f"allow Write on topic {topic}")
        else:
            yield place.ok(f"write {topic}", "the user may write to it")
        if topic != self._settings.dead_topic:
            yield await self._reading(asking, topic)

    async def _creation(self, asking: KafkaRights, topic: str) -> Finding:
        refused = await asking.why_not_create(topic)
        if refused is None:
            return place.ok(f"topic {topic}", "is not there yet, and can be made")
        return place.failed(
            f"topic {topic}",
            f"is not there, and cannot be made: {text(refused)}",
            f"make it (docs/bus.md says how), or allow Create on topic {topic}",
        )

    async def _reading(self, asking: KafkaRights, topic: str) -> Finding:
        if await asking.why_not_read(topic) is None:
            return place.ok(f"read {topic}", "the user may read it")
        todo = f"allow Read on topic {topic}"
        if self._group is None:
            return place.warning(f"read {topic}", "the user may not read it, which collector sink would have to", todo)
        return place.failed(f"read {topic}", "the user may not read it", todo)

    async def _membership(self, asking: KafkaRights) -> Finding:
        group = self._group
        if group is None:
            return place.ok("group", "not needed: another process stores")
        if await asking.why_not_join(group) is None:
            return place.ok("group", f"the user may read as a member of {group}")
        return place.failed("group", f"the user may not read as a member of {group}", f"allow Read on group {group}")


def _as(settings: KafkaSettings) -> str:
    security = settings.security
    user = f" and user {security.username}" if security.sasl else ""
    return f"{', with TLS' if security.tls else ''}{user}"


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE_SECONDS:g} s"
    return text(error)


def _todo(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return "set KAFKA_SSL_CAFILE to the brokers' authority, and KAFKA_SECURITY_PROTOCOL to what their port speaks"
    if isinstance(error, KafkaError) and not isinstance(error, (KafkaConnectionError, TimeoutError)):
        return "see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_SASL_MECHANISM and KAFKA_SECURITY_PROTOCOL"
    return "see that a broker runs there, and that KAFKA_SECURITY_PROTOCOL is what its port speaks"
