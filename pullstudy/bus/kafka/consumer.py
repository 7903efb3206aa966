"""A member of a consumer group: takes parcels, commits explicit offsets, and says which offsets it lost.

``commit()`` of the client without offsets would commit what was handed out, not what was stored. ``auto_offset_reset``
is "none", so that a committed offset that is out of range is an error that can be told, and not a silent jump.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from random import Random

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from pullstudy.bus.kafka.client import stop_within
from pullstudy.bus.kafka.errors import Meaning, meaning, text
from pullstudy.bus.kafka.probe import cause
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.kafka.topics import ensure_topics
from pullstudy.bus.protocol import Lost, Message, Parcel, TakeCounters
from pullstudy.bus.trouble import Trouble
from pullstudy.pulls.notices import Notices

_PATIENCE_SECONDS = 1.0


class _Share(ConsumerRebalanceListener):  # type: ignore[misc]
    """Counts the changes of the member's share: a parcel of an earlier one is not to be committed.

    Counted when the old share ends and never when the new one begins: the client hands out messages of the new share
    before it says that there is one. Those would be taken for the old share's and dropped, and what follows them in
    their partition committed.
    """

    def __init__(self, counters: TakeCounters) -> None:
        self.generation = 0
        self._counters = counters

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.generation += 1

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._counters.rebalances += 1


class KafkaGroupMember:
    """Keeps one consumer, made anew where it failed."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        notices: Notices,
        trouble: Trouble,
        random: Random,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        """Connects at the first take."""
        self._settings = settings
        self._group = group
        self._notices = notices
        self._trouble = trouble
        self._random = random
        self._sleep = sleep
        self._monotonic = monotonic
        self._consumer: AIOKafkaConsumer | None = None
        self._heard_at = monotonic()
        self.counters = TakeCounters()
        self._share = _Share(self.counters)

    # -- taking ------------------------------------------------------------------------------------------------------

    async def take(self, most_messages: int, most_bytes: int, wait_seconds: float) -> Parcel:
        failures = 0
        while True:
            try:
                parcel = await self._collect(await self._connected(), most_messages, most_bytes, wait_seconds)
            except (KafkaError, OSError, TimeoutError) as error:
                failures += 1
                await self._complain(error)
                await self._rebuild()
                await self._sleep(self._settings.backoff.seconds(failures, self._random))
            else:
                await self._look_after(parcel)
                return parcel

    async def _look_after(self, parcel: Parcel) -> None:
        """Tell silence from a broker that is away: the client repeats by itself, and says nothing."""
        now = self._monotonic()
        if parcel.messages:
            self._heard_at = now
            self._trouble.end()
        elif now - self._heard_at >= self._settings.stalled_seconds:
            try:
                async with asyncio.timeout(self._settings.request_seconds):
                    await ensure_topics(self._settings)
            except (KafkaError, OSError, TimeoutError) as error:
                await self._complain(error)
            else:
                self._heard_at = now
                self._trouble.end()

    async def _complain(self, error: BaseException) -> None:
        found = await cause(error, self._settings)
        self._trouble.begin(text(found), alarm=meaning(found) is Meaning.WRONG_SETTING)

    async def _collect(
        self, consumer: AIOKafkaConsumer, most_messages: int, most_bytes: int, wait_seconds: float
    ) -> Parcel:
        """Wait for the first, then take what is there already."""
        deadline = self._monotonic() + wait_seconds
        taken: list[Message] = []
        lost: list[Lost] = []
        size, generation = 0, self._share.generation
        while len(taken) < most_messages and size < most_bytes:
            wait = 0.0 if taken or lost else max(0.0, deadline - self._monotonic())
            found = await self._step(consumer, most_messages - len(taken), wait, lost)
            if self._share.generation != generation:
                # The share changed: what was taken before comes again, to whoever owns its partition now.
                taken, size, generation = [], 0, self._share.generation
            taken += found
            size += sum(len(message.value) for message in found)
            if not found and (taken or lost or self._monotonic() >= deadline):
                break
        self.counters.messages += len(taken)
        self.counters.taken_bytes += size
        return Parcel(tuple(taken), tuple(lost), generation)

    async def _step(
        self, consumer: AIOKafkaConsumer, most_messages: int, wait_seconds: float, lost: list[Lost]
    ) -> list[Message]:
        try:
            # While the share changes the client waits for as long as that takes.
            async with asyncio.timeout(wait_seconds + _PATIENCE_SECONDS):
                found = await consumer.getmany(
                    timeout_ms=int(wait_seconds * 1000), max_records=min(most_messages, self._settings.step_messages)
                )
        except TimeoutError:
            return []
        except OffsetOutOfRangeError as error:
            for partition, offset in error.args[0].items():
                lost.append(await self._go_on_behind(consumer, partition, offset))
            return []
        except NoOffsetForPartitionError as error:
            await self._begin(consumer, error.args[0])
            return []
        return [_message(record) for records in found.values() for record in records]

    async def _go_on_behind(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> Lost:
        first = (await consumer.beginning_offsets([partition]))[partition]
        consumer.seek(partition, first)
        if offset < first:
            last, why = first - 1, "deleted by the topic's retention before they were read"
        else:
            last, why = None, "the topic was deleted and made anew, or its log was cut"
        self.counters.lost_ranges += 1
        gone = Lost(partition.topic, partition.partition, offset, last, why)
        self._notices.error(
            f"Kafka: offsets {offset} to {'?' if last is None else last} of {partition.topic}/{partition.partition}"
            f" are lost: {why}; going on at {first}"
        )
        return gone

    async def _begin(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        first = (await consumer.beginning_offsets([partition]))[partition]
        consumer.seek(partition, first)
        self._notices.info(
            f"Kafka: group {self._group} has no offset of {partition.topic}/{partition.partition}: from its beginning",
            offset=first,
        )

    # -- committing --------------------------------------------------------------------------------------------------

    async def commit(self, parcel: Parcel) -> bool:
        consumer = self._consumer
        if consumer is None or parcel.generation != self._share.generation:
            self.counters.commits_failed += 1
            return False
        offsets = {TopicPartition(*place): offset for place, offset in parcel.next_offsets().items()}
        if not offsets:
            return True
        try:
            async with asyncio.timeout(self._settings.commit_seconds):
                await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            return self._commit_failed(f"the share of the topic changed: {text(error)}")
        except (KafkaError, TimeoutError) as error:
            return self._commit_failed(text(error))
        self.counters.commits += 1
        return True

    def _commit_failed(self, why: str) -> bool:
        self.counters.commits_failed += 1
        self._notices.warning(f"Kafka: offsets were not committed ({why}); what is stored comes once more")
        return False

    # -- looking -----------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> Trouble:
        return self._trouble

    @property
    def connected(self) -> bool:
        return self._consumer is not None

    async def lag(self) -> dict[tuple[str, int], int] | None:
        """How many messages of each partition of its share the group has not committed; None where nobody answers."""
        consumer = self._consumer
        if consumer is None:
            return None
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                return await _lag(consumer)
        except (KafkaError, OSError, TimeoutError):
            return None  # said by take(), which meets the same

    # -- the client --------------------------------------------------------------------------------------------------

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            settings = self._settings
            # First, or the client's question after the topic would make it with the broker's defaults.
            await ensure_topics(settings)
            consumer = AIOKafkaConsumer(
                **settings.client_options(),
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="none",
                session_timeout_ms=int(settings.session_seconds * 1000),
                heartbeat_interval_ms=int(settings.heartbeat_seconds * 1000),
                rebalance_timeout_ms=int(settings.rebalance_seconds * 1000),
                max_poll_interval_ms=int(settings.poll_seconds * 1000),
                fetch_max_bytes=settings.fetch_bytes,
                max_partition_fetch_bytes=settings.partition_fetch_bytes,
            )
            consumer.subscribe([settings.topic, settings.context_topic], listener=self._share)
            try:
                await consumer.start()
            except BaseException:
                await stop_within(settings.close_seconds, consumer.stop(), consumer)
                raise
            self._consumer = consumer
        return self._consumer

    async def _rebuild(self) -> None:
        if self._consumer is not None:
            self.counters.rebuilt += 1
            await self.close()

    async def close(self) -> None:
        self._share.generation += 1
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_within(self._settings.close_seconds, consumer.stop(), consumer)


def _message(record: ConsumerRecord) -> Message:
    sent_at_seconds = record.timestamp / 1000 if record.timestamp > 0 else None
    return Message(record.topic, record.partition, record.offset, record.key, record.value or b"", sent_at_seconds)


async def _lag(consumer: AIOKafkaConsumer) -> dict[tuple[str, int], int]:
    share = list(consumer.assignment())
    if not share:
        return {}
    ends = await consumer.end_offsets(share)
    begins = await consumer.beginning_offsets(share)
    behind = {}
    for place in share:
        committed = await consumer.committed(place)
        # What retention has deleted is lost, and not to be caught up with.
        behind[place.topic, place.partition] = ends[place] - max(committed or 0, begins[place])
    return behind
