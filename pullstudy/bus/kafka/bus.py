"""The Bus on Kafka: pulls in one topic, what stands around them in another, dead letters in a third."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from random import Random

from pullstudy.bus.cloud_event import headers
from pullstudy.bus.kafka.consumer import KafkaGroupMember
from pullstudy.bus.kafka.producer import KafkaSender, Outgoing
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.protocol import DeadLetter, Published, SendCounters
from pullstudy.bus.record_format import encode, is_main, key
from pullstudy.bus.trouble import Trouble
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Record
from pullstudy.pulls.notices import Notices
from pullstudy.timing import Timing

REASON_BYTES = 1_000
CUT_BYTES = 64 * 1024  # what is kept of a dead letter that even its own topic does not take


class KafkaBus:
    """One connection for what is published; each consumer has its own."""

    def __init__(self, settings: KafkaSettings, notices: Notices, random: Random, timing: Timing | None = None) -> None:
        """Connects at the first publish."""
        self._settings = settings
        self._notices = notices
        self._random = random
        self._timing = timing or Timing()
        self.trouble = self._new_trouble("sending")
        self._sender = KafkaSender(settings, self.trouble, random, self._timing.sleep)
        # The client's sequence numbers are one stream: what is buried waits for what is being published.
        self._sending = asyncio.Lock()

    @property
    def counters(self) -> SendCounters:
        return self._sender.counters

    async def publish(self, batch: Batch) -> Published:
        messages: list[Outgoing] = []
        letters: list[DeadLetter] = []
        for record in batch.records():
            try:
                messages.append(Outgoing(self._topic_of(record), key(record), encode(record), headers(record)))
            except ValueError as error:
                shown = repr(record).encode("ascii", "backslashreplace")
                letters.append(DeadLetter(f"the record cannot be written as JSON: {error}", shown))
        async with self._sending:
            too_large = await self._sender.send(messages)
        letters += [_too_large(message) for message in too_large]
        if letters:
            await self.bury(letters)
        return Published(sent=len(messages) - len(too_large), dead=len(letters))

    def _topic_of(self, record: Record) -> str:
        return self._settings.topic if is_main(record) else self._settings.context_topic

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            source = letter.source or "never published"
            self._notices.warning(f"Kafka: a dead letter ({source}) in {self._settings.dead_topic}: {letter.reason}")
        async with self._sending:
            too_large = await self._sender.send([self._dead(letter) for letter in letters])
            if too_large:
                await self._sender.send([_cut(message) for message in too_large])

    def _dead(self, letter: DeadLetter) -> Outgoing:
        told = (("reason", _header(letter.reason)), ("source", _header(letter.source)))
        return Outgoing(self._settings.dead_topic, letter.key, letter.value, told)

    async def consume(self, group: str) -> KafkaGroupMember:
        timing = self._timing
        return KafkaGroupMember(
            self._settings,
            group,
            self._notices,
            self._new_trouble("reading"),
            self._random,
            timing.sleep,
            timing.monotonic,
        )

    def _new_trouble(self, what: str) -> Trouble:
        settings = self._settings
        return Trouble(
            f"Kafka {settings.bootstrap}, {what}", self._notices, self._timing.monotonic, settings.remind_seconds
        )

    async def close(self) -> None:
        await self._sender.close()


def _too_large(message: Outgoing) -> DeadLetter:
    return DeadLetter(
        f"the message of {message.size_bytes} bytes is over {message.topic}'s limit", message.value, message.key
    )


def _cut(message: Outgoing) -> Outgoing:
    digest = blake2b(message.value, digest_size=16).hexdigest()
    cut = (("cut-from-bytes", str(len(message.value)).encode()), ("blake2b", digest.encode()))
    return Outgoing(message.topic, message.key, message.value[:CUT_BYTES], (*message.headers, *cut))


def _header(text: str) -> bytes:
    return text.encode(errors="backslashreplace")[:REASON_BYTES]
