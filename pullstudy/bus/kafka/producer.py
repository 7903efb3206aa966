"""Messages to Kafka until each is acknowledged by all replicas in sync, or is too large for its topic.

A producer that failed once is not used again: after a message over the topic's limit every later one fails with an
out-of-order sequence (aiokafka #1017). What it had not acknowledged is sent once more by a new one. That may put a
message there twice; records collapse by their identity.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from pullstudy.bus.kafka.client import stop_within
from pullstudy.bus.kafka.errors import Meaning, meaning, text
from pullstudy.bus.kafka.probe import cause
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.kafka.topics import TopicLimits, ensure_topics
from pullstudy.bus.protocol import SendCounters
from pullstudy.bus.trouble import Trouble

_ANSWERS_BEFORE_REBUILD = 2
FRAME_BYTES = 128  # of a record and its batch around key, value and headers, at most


@dataclass(frozen=True)
class Outgoing:
    """A message that has no place yet."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size_bytes(self) -> int:
        headers = sum(len(name) + len(value) + 10 for name, value in self.headers)
        return len(self.key or b"") + len(self.value) + headers + FRAME_BYTES


class KafkaSender:
    """Keeps one producer, made anew where it failed."""

    def __init__(
        self,
        settings: KafkaSettings,
        trouble: Trouble,
        random: Random,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Connects at the first send."""
        self._settings = settings
        self._trouble = trouble
        self._random = random
        self._sleep = sleep
        self._producer: AIOKafkaProducer | None = None
        self._limits = TopicLimits({})
        self.counters = SendCounters()

    async def send(self, messages: list[Outgoing]) -> list[Outgoing]:
        """Returns when each is acknowledged, but for those that are too large for their topic: they come back."""
        too_large: list[Outgoing] = []
        for chunk in self._chunks(messages):
            too_large += await self._send_chunk(chunk)
        return too_large

    def _chunks(self, messages: list[Outgoing]) -> Iterator[list[Outgoing]]:
        chunk: list[Outgoing] = []
        size = 0
        for message in messages:
            if chunk and size + message.size_bytes > self._settings.in_flight_bytes:
                yield chunk
                chunk, size = [], 0
            chunk.append(message)
            size += message.size_bytes
        if chunk:
            yield chunk

    async def _send_chunk(self, messages: list[Outgoing]) -> list[Outgoing]:
        pending, too_large, failures = messages, [], 0
        while pending:
            try:
                producer = await self._connected()
                # Only now the topics' limits are known.
                too_large += [each for each in pending if each.size_bytes > self._limits.of(each.topic)]
                pending = [each for each in pending if each.size_bytes <= self._limits.of(each.topic)]
                failed = await self._attempt(producer, pending)
            except (KafkaError, OSError, TimeoutError) as error:
                failed = [(each, error) for each in pending]
            if not failed:
                break
            self.counters.repeats += len(failed)
            pending = [message for message, _ in failed]
            await self._rebuild()
            if meaning(failed[0][1]) is Meaning.TOO_LARGE:
                pending, large = await self._singly(pending)
                too_large += large
                continue
            failures += 1
            await self._wait(failed[0][1], failures)
        self._trouble.end()
        return too_large

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            settings = self._settings
            self._limits = await ensure_topics(settings)
            producer = AIOKafkaProducer(
                **settings.client_options(),
                enable_idempotence=True,
                acks="all",
                compression_type=settings.compression,
                max_batch_size=min(settings.batch_bytes, self._limits.of(settings.topic)),
                max_request_size=max(self._limits.of(topic) for topic in (settings.topic, settings.dead_topic)),
                linger_ms=int(settings.linger_seconds * 1000),
            )
            try:
                await producer.start()
            except BaseException:
                await stop_within(settings.close_seconds, producer.stop(), producer)
                raise
            self._producer = producer
        return self._producer

    async def _attempt(
        self, producer: AIOKafkaProducer, messages: list[Outgoing]
    ) -> list[tuple[Outgoing, BaseException]]:
        """The messages that were not acknowledged, with the reason."""
        futures: list[asyncio.Future[Any]] = []
        refusal: BaseException = TimeoutError("no acknowledgement")
        try:
            for message in messages:
                future = await self._enqueue(producer, message)
                futures.append(future)
        except KafkaError as error:
            refusal = error
        except asyncio.CancelledError:
            _disown(futures)
            raise
        try:
            await self._acknowledged(futures)
        except asyncio.CancelledError:
            _disown(futures)
            raise
        failed = [
            (message, problem)
            for message, future in zip(messages, futures, strict=False)
            if (problem := _problem(future)) is not None
        ]
        self._count(messages[: len(futures)], failed)
        return [*failed, *((message, refusal) for message in messages[len(futures) :])]

    async def _enqueue(self, producer: AIOKafkaProducer, message: Outgoing) -> asyncio.Future[Any]:
        answered = 0
        while True:
            try:
                sent: asyncio.Future[Any] = await producer.send(
                    message.topic, message.value, message.key, headers=list(message.headers)
                )
            except KafkaTimeoutError:
                # The partition's buffer is full of what the broker does not take.
                if answered >= _ANSWERS_BEFORE_REBUILD:
                    raise
                answered += await self._stalled()
            else:
                return sent

    async def _acknowledged(self, futures: list[asyncio.Future[Any]]) -> None:
        """Wait until all are done, for as long as the broker is away: the client itself repeats, and doubles nothing.

        Gives up where the brokers answer and yet acknowledge nothing: a topic may have been deleted.
        """
        answered = 0
        pending = set(futures)
        while pending and answered < _ANSWERS_BEFORE_REBUILD:
            done, pending = await asyncio.wait(pending, timeout=self._settings.stalled_seconds)
            if pending and not done:
                answered += await self._stalled()

    async def _stalled(self) -> bool:
        """Say so; whether the brokers answer all the same."""
        self._trouble.begin(f"no acknowledgement for {self._settings.stalled_seconds:g} s")
        return await self._brokers_answer()

    def _count(self, sent: list[Outgoing], failed: list[tuple[Outgoing, BaseException]]) -> None:
        self.counters.messages += len(sent) - len(failed)
        self.counters.sent_bytes += sum(len(message.value) for message in sent)

    async def _brokers_answer(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                self._limits = await ensure_topics(self._settings)
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def _singly(self, messages: list[Outgoing]) -> tuple[list[Outgoing], list[Outgoing]]:
        """Send one by one: (those to send again, those that are too large)."""
        again: list[Outgoing] = []
        too_large: list[Outgoing] = []
        for message in messages:
            try:
                failed = await self._attempt(await self._connected(), [message])
            except (KafkaError, OSError, TimeoutError) as error:
                failed = [(message, error)]
            if failed:
                (too_large if meaning(failed[0][1]) is Meaning.TOO_LARGE else again).append(message)
                await self._rebuild()
        return again, too_large

    async def _wait(self, error: BaseException, failures: int) -> None:
        error = await cause(error, self._settings)
        self._trouble.begin(text(error), alarm=meaning(error) is Meaning.WRONG_SETTING)
        await self._sleep(self._settings.backoff.seconds(failures, self._random))

    async def _rebuild(self) -> None:
        if self._producer is not None:
            self.counters.rebuilt += 1
            await self.close()

    async def close(self) -> None:
        """Ends within close_seconds, whatever the broker does."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_within(self._settings.close_seconds, producer.stop(), producer)


def _problem(future: asyncio.Future[Any]) -> BaseException | None:
    if not future.done():
        future.cancel()
        return TimeoutError("no acknowledgement")
    return future.exception()


def _disown(futures: list[asyncio.Future[Any]]) -> None:
    """Nobody will ask for their results: an error in one is not to be reported as forgotten."""
    for future in futures:
        if not future.cancel() and not future.cancelled():
            future.exception()
