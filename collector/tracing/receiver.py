"""What is done with a request of spans, whatever protocol brings it: answered when what is ours of it is on disk."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from collector.clock import Clock
from collector.errors import SpoolFullError
from collector.settings import TracingSettings
from collector.tracing.journal import SpanJournal
from collector.tracing.pending import PendingSpans
from pullstudy.pulls.notices import Notices
from pullstudy.pulls.spans.otlp import OtlpError, PullSpans


class Answer(Enum):
    """To an exporter; the value says why, where it is refused."""

    KEPT = ""
    BAD = "it is no ExportTraceServiceRequest"  # to come with it again is of no use
    BUSY = "too many requests at a time"  # to come again in a while
    FULL = "no room on disk: spans wait for their pulls to end, or for the store"  # the same


@dataclass
class Counts:
    """Since the start."""

    kept: int = 0  # spans
    foreign: int = 0  # spans that tell of no pull
    bad: int = 0  # requests
    busy: int = 0


class SpanReceiver:
    """Between the endpoints and the journal."""

    def __init__(
        self,
        read: Callable[[bytes], PullSpans],
        journal: SpanJournal,
        pending: PendingSpans,
        settings: TracingSettings,
        clock: Clock,
        log: Notices,
    ) -> None:
        self._read = read
        self._journal = journal
        self._pending = pending
        self._settings = settings
        self._clock = clock
        self._log = log
        self._under_way = 0
        self.counts = Counts()
        # One thread: segments keep their order, and the event loop does not wait for the disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spans")

    @property
    def is_full(self) -> bool:
        return self._journal.size_bytes >= self._settings.most_bytes

    async def take(self, body: Callable[[], Awaitable[bytes]]) -> Answer:
        """``body`` gives the bytes of an ExportTraceServiceRequest, and is asked for them where there is room."""
        if self.is_full or self._under_way >= self._settings.most_requests:
            self.counts.busy += 1
            return Answer.FULL if self.is_full else Answer.BUSY
        self._under_way += 1
        try:
            return await self._keep(await body())
        finally:
            self._under_way -= 1

    async def _keep(self, body: bytes) -> Answer:
        try:
            found = self._read(body)
            if found.spans:
                segment = await self._on_disk(lambda: self._journal.append(found.spans))
                self._pending.add(found.spans, segment, self._clock.monotonic_seconds())
                self._journal.claim(segment)
        except OtlpError:
            self.counts.bad += 1
            return Answer.BAD
        except SpoolFullError as error:
            self._log.warning(f"spans are refused, and exporters come again: {error}")
            self.counts.busy += 1
            return Answer.FULL
        self.counts.kept += len(found.spans)
        self.counts.foreign += found.foreign
        return Answer.KEPT

    async def forget(self) -> None:
        """Delete what no pending span is in."""
        idle = self._journal.idle(self._pending.segments)
        if idle:
            await self._on_disk(lambda: self._journal.delete(idle))

    async def _on_disk(self, call: Callable[[], int]) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def close(self) -> None:
        """Waits for the call that is under way."""
        await asyncio.to_thread(self._thread.shutdown)
