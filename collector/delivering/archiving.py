"""Compaction of an archive again and again, beside the sink that fills it; and a whole store copied into one."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from collector.clock import Clock
from collector.delivering.sink import SinkSettings
from collector.monitoring.vitals import Reading, Vitals
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.notices import Notices
from pullstudy.store.archive.compaction import Compacted, compact
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.copying import all_batches
from pullstudy.store.protocol import Records, SharedStore, StoreError

ARCHIVING = SinkSettings(batch_messages=50_000, batch_bytes=32 << 20, linger_seconds=30.0, at_once=2)
"""Objects are few and large: each is a write to S3, and a file to merge. They are on the bus until then."""
_COPIED_AT_ONCE = 50_000  # records of an incoming object
_SPREAD = 0.2  # of a period, at random: several that archive the same topic should not merge at the same time


@dataclass
class CompactionCounters:
    """Since the start."""

    done: int = 0
    failed: int = 0
    merged: Compacted = field(default_factory=Compacted)


class Compactor:
    """Merges what came in, once a period; what fails is tried again in the next."""

    def __init__(
        self, settings: ArchiveSettings, period_seconds: float, notices: Notices, random: Random, clock: Clock
    ) -> None:
        self._settings = settings
        self._period_seconds = period_seconds
        self._notices = notices
        self._random = random
        self._clock = clock
        self.counters = CompactionCounters()

    def show(self, vitals: Vitals) -> None:
        vitals.sources.append(self._readings)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._clock.sleep(self._period_seconds * (1 + _SPREAD * self._random.random()))
            try:
                await self.compact()
            except StoreError as error:
                self.counters.failed += 1
                self._notices.warning(f"{error}; nothing is lost, compaction is tried again")

    async def compact(self) -> None:
        """Once. Raises StoreError."""
        objects = objects_of(self._settings)
        merged = await asyncio.to_thread(compact, objects, self._settings)
        self.counters.done += 1
        self.counters.merged += merged
        if merged.objects:
            self._notices.info(
                "compacted", objects=merged.objects, partitions=merged.partitions, records_in_them=merged.rows
            )

    def _readings(self) -> Iterator[Reading]:
        counters = self.counters
        yield Reading(names.ARCHIVE_COMPACTIONS, {("done",): counters.done, ("failed",): counters.failed})
        yield Reading(names.ARCHIVE_MERGED_OBJECTS, {(): counters.merged.objects})
        yield Reading(names.ARCHIVE_PARTITIONS, {(): counters.merged.partitions})


async def copy_all(records: Records, archive: SharedStore, notices: Notices) -> int:
    """Everything that is read of a store; return how many records. What is there already changes nothing.

    Raises StoreError where the store cannot be read; the archive is waited for.
    """
    copied = 0
    for batch in all_batches(records, _COPIED_AT_ONCE):
        delivered = await archive.deliver(batch)
        for refused in delivered.refused:
            notices.error(f"left out {refused.record!r}: {refused.reason}")
        copied += delivered.written
        notices.info("copied", records=copied)
    return copied
