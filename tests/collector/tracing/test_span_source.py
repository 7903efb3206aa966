"""Spans over the wire, as exporters send them, and the records that come of them."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration

from collector.configuration.quantity import Address
from collector.context import Context
from collector.log import Format, Log
from collector.settings import Settings, SpoolSettings, TracingSettings
from collector.sources.source import SourceSpool
from collector.spooling.spool import Spool
from collector.spooling.spool_queue import SpoolQueue
from collector.tracing.grpc_endpoint import SERVICE
from collector.tracing.http_endpoint import OtlpListenError
from collector.tracing.journal import SpanJournal
from collector.tracing.span_source import SPANS, OtlpAddresses, SpanSource
from collector.tracing.status_message import status_message
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.kind import Record
from pullstudy.pulls.spans.span import Span
from pullstudy.pulls.spans.stage_records import records_of
from tests.collector.harness import VirtualClock
from tests.collector.polling import until
from tests.pulls.spans.samples import ORIGIN, pull_spans, request_of

PROTOBUF = {"Content-Type": "application/x-protobuf"}
ANY = Address("127.0.0.1:0")


class Receiving:
    """A running source with a spool of its own."""

    def __init__(self, directory: Path, settings: TracingSettings, addresses: OtlpAddresses) -> None:
        self.lines: list[str] = []
        self.task: asyncio.Task[None]
        self.clock = VirtualClock(settings.look_seconds)
        self.context = Context(
            replace(Settings(), tracing=settings),
            self.clock,
            Random(1),
            Log(self.clock, Format.TEXT, self.lines.append),
        )
        self.spool = Spool(directory / "spool" / "c", SpoolSettings())
        self.queue = SpoolQueue(self.spool, self.context.log, self.clock)
        self.journal = directory / "spans"
        self.source = SpanSource(addresses, SpanJournal(self.journal), ORIGIN, self.spool.position(SPANS), self.context)

    async def records(self) -> list[Record]:
        """What was spooled and not asked for before."""
        self.queue.finish()
        found = []
        while entries := await self.queue.take(1000):
            found += [record for entry in entries for record in entry.batch.records()]
            await self.queue.acknowledge(entries[-1].number)
        return found

    async def post(self, body: bytes, **headers: str) -> tuple[int, Any, bytes]:
        url = f"http://127.0.0.1:{self.source.ports['http']}/v1/traces"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers={**PROTOBUF, **headers}) as answer,
        ):
            return answer.status, answer.headers, await answer.read()

    def reading(self, metric: names.Metric) -> dict[str, float]:
        found = next(each for each in self.source.readings() if each.metric is metric)
        return {labels[-1]: value for labels, value in found.values.items() if isinstance(value, int)}


@asynccontextmanager
async def receiving(
    directory: Path,
    settings: TracingSettings = TracingSettings(),  # noqa: B008
    addresses: OtlpAddresses = OtlpAddresses(ANY, ANY),  # noqa: B008
) -> AsyncIterator[Receiving]:
    """Ended as a kill ends it: nothing is written at the end."""
    running = Receiving(directory, settings, addresses)
    task = running.task = asyncio.create_task(running.source.run(SourceSpool(running.queue, SPANS)))
    try:
        await until(lambda: task.done() or len(running.source.ports) == bool(addresses.http) + bool(addresses.grpc))
        if task.done():
            task.result()
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await running.queue.close()
        running.spool.close()


async def call(port: int, body: bytes) -> bytes:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer: bytes = await channel.unary_unary(f"/{SERVICE}/Export")(body)
        return answer


async def test_spans_over_http_become_records_and_nothing_of_them_is_left_behind(tmp_path: Path) -> None:
    async with receiving(tmp_path) as running:
        assert (await running.post(request_of("g9")))[::2] == (200, b"")
        packed = gzip.compress(request_of("z9"))
        assert (await running.post(packed, **{"Content-Encoding": "gzip"}))[0] == 200
        await running.clock.step()
        expected = [*records_of(pull_spans("g9"), ORIGIN), *records_of(pull_spans("z9"), ORIGIN)]
        assert sorted(map(repr, await running.records())) == sorted(map(repr, expected))
        spans = running.reading(names.SPANS)
        assert spans["kept"] == len(pull_spans("g9")) + len(pull_spans("z9"))
        assert (spans["foreign"] > 100, running.reading(names.PENDING_SPANS)) == (True, {"c": 0})


async def test_spans_over_grpc_become_the_same_records(tmp_path: Path) -> None:
    async with receiving(tmp_path) as running:
        assert await call(running.source.ports["grpc"], request_of("g9")) == b""
        await running.clock.step()
        assert await running.records() == records_of(pull_spans("g9"), ORIGIN)


async def test_what_is_no_request_of_spans_is_refused_for_good(tmp_path: Path) -> None:
    async with receiving(tmp_path, TracingSettings(most_body_bytes=10_000)) as running:
        assert (await running.post(b"\xff\xff\xff"))[0] == 400
        assert (await running.post(b"{}", **{"Content-Type": "application/json"}))[0] == 415
        assert (await running.post(bytes(20_000)))[0] == 413
        assert (await running.post(gzip.compress(bytes(200_000)), **{"Content-Encoding": "gzip"}))[0] == 413
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(running.source.ports["grpc"], b"\xff\xff\xff")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert running.reading(names.SPAN_REQUESTS_REFUSED) == {"bad": 2, "busy": 0}


async def test_where_there_is_no_room_exporters_are_told_when_to_come_again(tmp_path: Path) -> None:
    async with receiving(tmp_path, TracingSettings(most_bytes=0)) as running:
        code, headers, _ = await running.post(request_of("g9"))
        assert (code, headers["Retry-After"]) == (503, "5")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(running.source.ports["grpc"], request_of("g9"))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        details = dict(refused.value.trailing_metadata() or ())["grpc-status-details-bin"]
        assert _retry_info(5) in details
    async with receiving(tmp_path, TracingSettings(most_requests=0), OtlpAddresses(ANY)) as running:
        code, headers, _ = await running.post(request_of("g9"))
        assert (code, headers["Retry-After"]) == (429, "5")


def _retry_info(seconds: int) -> bytes:
    delay = Duration(seconds=seconds).SerializeToString()
    value = b"\x0a" + bytes((len(delay),)) + delay
    packed: bytes = AnyMessage(type_url="type.googleapis.com/google.rpc.RetryInfo", value=value).SerializeToString()
    return packed


def test_a_status_has_its_code_message_and_delay_as_protobuf_writes_them() -> None:
    details = _retry_info(300)
    expected = b"\x08\x0e\x12\x02no\x1a" + bytes((len(details),)) + details
    assert status_message("no", 14, 300) == expected


async def test_a_full_journal_gives_up_what_never_ends_and_takes_spans_again(tmp_path: Path) -> None:
    async with receiving(tmp_path, TracingSettings(most_bytes=1_000)) as running:
        assert (await running.post(request_of("g9", pull_spans("g9")[:12])))[0] == 200
        assert (await running.post(request_of("z9")))[0] == 503
        await running.clock.step()
        assert running.reading(names.SPANS)["given_up"] == 12


async def test_killed_three_times_with_spans_late_and_doubled_the_records_are_those_of_the_undisturbed_run(
    tmp_path: Path,
) -> None:
    random = Random(7)
    spans = [*pull_spans("g9"), *pull_spans("g9p"), *pull_spans("g9")[::3], *pull_spans("g9p")[::2]]
    random.shuffle(spans)
    pieces = [spans[at : at + 30] for at in range(0, len(spans), 30)]
    found: list[Record] = []
    for some in (pieces[:1], pieces[1:2], pieces[1:3], pieces[2:]):  # what was sent before a kill is sent again
        async with receiving(tmp_path) as running:
            for piece in some:
                assert (await running.post(_request(piece)))[0] == 200
            await running.clock.step()
            found += await running.records()
    expected = [*records_of(pull_spans("g9"), ORIGIN), *records_of(pull_spans("g9p"), ORIGIN)]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def _request(spans: Sequence[Span]) -> bytes:
    """Of spans of two samples: requests in a row are one request."""
    by_name = {name: {span.id for span in pull_spans(name)} for name in ("g9", "g9p")}
    return b"".join(request_of(name, [span for span in spans if span.id in ids]) for name, ids in by_name.items())


async def test_an_address_that_is_taken_is_said_and_one_that_others_reach_is_warned_of(tmp_path: Path) -> None:
    async with receiving(tmp_path / "a", addresses=OtlpAddresses(Address("0.0.0.0:0"), ANY)) as running:
        assert len([line for line in running.lines if "OTLP has no login" in line]) == 1
        for protocol, option in (("http", "--otlp "), ("grpc", "--otlp-grpc")):
            taken = Address(f"127.0.0.1:{running.source.ports[protocol]}")
            addresses = OtlpAddresses(taken) if protocol == "http" else OtlpAddresses(None, taken)
            with pytest.raises(OtlpListenError, match=option):
                async with receiving(tmp_path / protocol, addresses=addresses):
                    pass


async def test_at_the_end_whole_pulls_are_brought_in_and_the_others_wait_for_the_next_start(tmp_path: Path) -> None:
    whole, cut = pull_spans("g9"), pull_spans("z9")[:-3]
    async with receiving(tmp_path) as running:
        assert (await running.post(request_of("g9", whole)))[0] == 200
        assert (await running.post(request_of("z9", cut)))[0] == 200
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        await running.source.finish(SourceSpool(running.queue, SPANS))
        assert sorted(map(repr, await running.records())) == sorted(map(repr, records_of(whole, ORIGIN)))
    async with receiving(tmp_path) as running:
        await until(lambda: running.source.pending.spans == len(cut))
