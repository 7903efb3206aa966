"""The source of stages: OTLP in, records of pulls and layers out."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from collector.configuration.quantity import Address
from collector.context import Context
from collector.monitoring.vitals import Reading
from collector.sources.source import SourceSpool
from collector.tracing.journal import SpanJournal
from collector.tracing.pending import PendingSpans, Settled
from collector.tracing.receiver import SpanReceiver
from pullstudy.polling import ticks
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.kind import Record
from pullstudy.pulls.spans.otlp import otlp_reader

BATCH_RECORDS = 1_000  # of several pulls, kept together: each time waits for the disk
SPANS = "spans"  # the source's name in the spool
_LOOPBACK = ("127.", "localhost", "::1")
_decode = msgspec.msgpack.Decoder(list[Settled]).decode


@dataclass(frozen=True)
class OtlpAddresses:
    """Where spans are taken."""

    http: Address | None = None
    grpc: Address | None = None

    def __bool__(self) -> bool:
        return self.http is not None or self.grpc is not None


class SpanSource:
    """Source: receives spans, and makes records of pulls that are over."""

    name = SPANS

    def __init__(
        self, addresses: OtlpAddresses, journal: SpanJournal, origin: Origin, position: bytes | None, context: Context
    ) -> None:
        """``position`` is what the spool has of it. Raises MissingExtraError."""
        self._addresses = addresses
        self._cluster = origin.cluster
        self._journal = journal
        self._settings = context.settings.tracing
        self._clock = context.clock
        self._log = context.log
        self.ports: dict[str, int] = {}  # by protocol, while it runs
        settled = _decode(position) if position is not None else []
        self.pending = PendingSpans(origin, self._settings, settled)
        self.receiver = SpanReceiver(otlp_reader(), journal, self.pending, self._settings, self._clock, self._log)

    async def run(self, spool: SourceSpool) -> None:
        """Raises SpoolError, OtlpListenError."""
        now = self._clock.monotonic_seconds()
        for segment, spans in self._journal.read(self._tell_damage):
            self.pending.add(spans, segment, now)
        try:
            async with AsyncExitStack() as open_endpoints:
                await self._listen(open_endpoints)
                async for _ in ticks(self._settings.look_seconds, sleep=self._clock.sleep):
                    await self._look(spool)
        finally:
            await self.receiver.close()
            self._journal.close()

    def _tell_damage(self, path: Path, size: int) -> None:
        self._log.warning(f"{path}: {size} bytes of spans cannot be read: damaged; their pulls' stages may lack some")

    async def _listen(self, open_endpoints: AsyncExitStack) -> None:
        if (http := self._addresses.http) is not None:
            from collector.tracing.http_endpoint import http_endpoint

            port = await open_endpoints.enter_async_context(http_endpoint(http, self.receiver, self._settings))
            self._tell("http", http, port)
        if (grpc := self._addresses.grpc) is not None:
            from collector.tracing.grpc_endpoint import grpc_endpoint

            port = await open_endpoints.enter_async_context(grpc_endpoint(grpc, self.receiver, self._settings))
            self._tell("grpc", grpc, port)

    def _tell(self, protocol: str, address: Address, port: int) -> None:
        self.ports[protocol] = port
        self._log.info(f"spans are taken over {protocol} on {address.host or 'every address'}, port {port}")
        if address.host is None or not address.host.startswith(_LOOPBACK):
            self._log.warning(
                f"whoever reaches port {port} can send spans: OTLP has no login here; let a NetworkPolicy say who may"
            )

    async def finish(self, spool: SourceSpool) -> None:
        """FinishingSource: pulls of which all spans are there; what others have waits for the next start."""
        await self._settle(spool)
        self._journal.delete(self._journal.idle(self.pending.segments))

    async def _settle(self, spool: SourceSpool) -> None:
        records: list[Record] = []
        for name in self.pending.due(self._clock.monotonic_seconds()):
            records += self.pending.settle(name, self._clock.monotonic_seconds())
            if len(records) >= BATCH_RECORDS:
                await self._append(records, spool)
                records = []
        if records:
            await self._append(records, spool)

    async def _append(self, records: list[Record], spool: SourceSpool) -> None:
        """What a kill takes of them before that is read from the journal again."""
        await spool.append(Batch(more=records), msgspec.msgpack.encode(self.pending.last_settled()))

    async def _look(self, spool: SourceSpool) -> None:
        await self._settle(spool)
        while self.pending.spans > self._settings.most_spans:
            self.pending.give_up_longest()
        await self.receiver.forget()
        while self.receiver.is_full and self.pending.spans:  # the spool has room: only what never ends is in the way
            self.pending.give_up_longest()
            await self.receiver.forget()

    def why_not_ready(self) -> str | None:
        """Never for long: exporters are told to come again."""
        return None

    def readings(self) -> Iterator[Reading]:
        of, counts, pending = (self._cluster,), self.receiver.counts, self.pending
        spans = {"kept": counts.kept, "foreign": counts.foreign, "late": pending.late, "given_up": pending.given_up}
        yield Reading(names.SPANS, {(*of, what): count for what, count in spans.items()})
        yield Reading(names.SPAN_REQUESTS_REFUSED, {(*of, "bad"): counts.bad, (*of, "busy"): counts.busy})
        yield Reading(names.STAGED_PULLS, {of: pending.pulls})
        yield Reading(names.PENDING_SPANS, {of: pending.spans})
        yield Reading(names.SPAN_JOURNAL_BYTES, {of: self._journal.size_bytes})
