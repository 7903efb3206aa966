"""/metrics shows what dashboards ask for, /readyz what keeps it from its work, /healthz what is past mending."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from collector.clock import SystemClock
from collector.configuration.quantity import Address
from collector.context import Context
from collector.delivering.archiving import Compactor
from collector.delivering.delivery import DeliveryTarget, Written
from collector.delivering.sink import Sink, SinkSettings
from collector.delivering.sink_daemon import SinkTarget, SinkWatch
from collector.log import Format, Log
from collector.monitoring.conditions import BETWEEN_WATCHES_SECONDS, has_room, is_not_refused, keeps_up, watches
from collector.monitoring.edge_metrics import (
    archive_source,
    bus_trouble,
    sending_source,
    store_source,
    store_trouble,
    taking_source,
)
from collector.monitoring.endpoints import ListenError, endpoints
from collector.monitoring.listening import listening
from collector.monitoring.metrics import delivery_source, event_readings, pod_readings, spool_metrics
from collector.monitoring.pull_durations import PullDurations
from collector.monitoring.status import CollectorStatus
from collector.monitoring.vitals import DeliveryTrouble, Vitals
from collector.settings import SpoolSettings
from collector.spooling.spool import Spool
from collector.spooling.spool_queue import SpoolQueue
from collector.tracing.journal import SpanJournal
from collector.tracing.span_source import OtlpAddresses, SpanSource
from pullstudy.bus.kafka.bus import KafkaBus
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.trouble import Trouble
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.metric_names import METRICS, MetricKind
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from tests.collector.api_server import ApiServer, serving
from tests.collector.harness import SETTINGS, VirtualClock, collecting
from tests.collector.kube_events import event
from tests.collector.polling import until, until_it_is
from tests.collector.scraping import Endpoint, served
from tests.notices import KeptNotices
from tests.store.records import pull


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


class Everything:
    """Every part that has a metric, in one process; nothing is connected."""

    def __init__(self, directory: Path) -> None:
        notices = KeptNotices()
        self.clock = VirtualClock()
        self.status = CollectorStatus()
        self.durations = PullDurations("lab")
        self.durations.count(pull(1))
        self.spool = Spool(directory / "spool", SpoolSettings())
        self.vitals = Vitals()
        context = Context(SETTINGS, self.clock, Random(1), Log(self.clock, Format.TEXT, print))
        journal = SpanJournal(directory / "spans")
        self.spans = SpanSource(OtlpAddresses(), journal, Origin(cluster="lab"), None, context)
        self.bus = KafkaBus(KafkaSettings("127.0.0.1:1"), notices, Random(1))
        self.store = InfluxStore(InfluxSettings("http://127.0.0.1:1", "o", token="t"), notices, Random(1))

    async def show(self) -> Vitals:
        member = await self.bus.consume("group")
        notices = KeptNotices()
        sink = Sink(self.bus, member, self.store, SinkSettings(), notices)
        target = SinkTarget(KafkaSettings("127.0.0.1:1"), InfluxSettings("http://127.0.0.1:1", "o", token="t"))
        SinkWatch(target, self.bus, member, self.store, sink, self.clock).show(self.vitals)
        queue = SpoolQueue(self.spool, KeptNotices(), self.clock)
        self.vitals.sources += [
            spool_metrics("lab", self.status, queue),
            lambda: event_readings("lab", self.status),
            lambda: pod_readings("lab", self.status),
            delivery_source("lab", self.status, "kafka", lambda: None),
            sending_source("collector", self.bus),
            self.durations.readings,
            self.spans.readings,
            store_source("collector", self.store),
            archive_source("sink", self.store),
        ]
        Compactor(ArchiveSettings("archive"), 600.0, notices, Random(1), self.clock).show(self.vitals)
        return self.vitals


async def test_what_is_served_is_what_the_dashboards_may_ask_for(tmp_path: Path) -> None:
    """Both ways: by name, type and help; and no sample has other labels than those that are named."""
    vitals = await Everything(tmp_path).show()
    async with served(vitals) as endpoint:
        families = await endpoint.families()
    suffix = {MetricKind.COUNTER: "_total", MetricKind.GAUGE: "", MetricKind.HISTOGRAM: ""}
    found = {(f"{each.name}{suffix[MetricKind(each.type)]}", MetricKind(each.type)) for each in families}
    assert found == {(metric.name, metric.kind) for metric in METRICS}
    labels = {metric.name: {*metric.labels} for metric in METRICS}
    for family in families:
        for sample in family.samples:
            name = f"{family.name}{suffix[MetricKind(family.type)]}"
            assert set(sample.labels) - {"le"} == labels[name], name
    ours = {metric.name: metric.help for metric in METRICS if metric.name.startswith("pullstudy")}
    served_help = {f"{each.name}{suffix[MetricKind(each.type)]}": each.documentation for each in families}
    assert {name: served_help[name] for name in ours} == ours


async def test_openmetrics_is_served_where_it_is_asked_for(tmp_path: Path) -> None:
    vitals = await Everything(tmp_path).show()
    async with served(vitals) as endpoint:
        _, text = await endpoint.get("/metrics", "application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


async def test_the_numbers_are_those_of_a_run(server: ApiServer, tmp_path: Path) -> None:
    for number in range(30):
        await server.put(event(number))
    async with collecting(server.url, tmp_path) as running, served(running.context.vitals) as endpoint:
        await running.until_stored(60)
        await server.until_watched()
        await running.until(lambda: running.status.watching)
        prefix = "pullstudy_collector_"
        assert await endpoint.value(f"{prefix}events_total", cluster="sim-t", reason="Pulled") == 30
        assert await endpoint.value(f"{prefix}records_total", outcome="pulled") == 30
        assert await endpoint.value(f"{prefix}records_total", outcome="failed") == 0
        assert await endpoint.value(f"{prefix}lists_total") == 1
        assert await endpoint.value(f"{prefix}watching") == 1
        assert await endpoint.value(f"{prefix}spool_limit_bytes") == 1 << 30
        await running.until(lambda: running.status.write_seconds.count > 0)
        assert (await endpoint.value("process_resident_memory_bytes") or 0) > 1 << 20
        assert (await endpoint.value("process_open_fds") or 0) > 3
        assert (await endpoint.value("process_cpu_seconds_total") or 0) > 0


class Gate:
    """Lets nothing through until it is opened."""

    def __init__(self, sink: DeliveryTarget) -> None:
        self._sink = sink
        self.opened = asyncio.Event()

    async def write(self, batch: Batch) -> Written:
        await self.opened.wait()
        return await self._sink.write(batch)


async def test_it_is_ready_while_it_watches_and_its_store_keeps_up(server: ApiServer, tmp_path: Path) -> None:
    gates: list[Gate] = []

    def gated(sink: DeliveryTarget) -> DeliveryTarget:
        gates.append(Gate(sink))
        return gates[0]

    async with collecting(server.url, tmp_path, SETTINGS, gated) as running, served(running.context.vitals) as endpoint:
        await running.until(lambda: running.status.watching)
        assert await endpoint.ready() == (200, ["ok"])
        await server.put(event(1))
        await running.until(lambda: running.status.outcomes["pulled"] == 1)

        async def is_spooled() -> bool:  # which comes after it is counted: from then on it waits
            return await endpoint.value("pullstudy_collector_spool_entries") == 1

        await until_it_is(is_spooled)
        running.clock.advance(SETTINGS.max_lag_seconds + 1)
        status, reasons = await endpoint.ready()
        assert status == 503
        assert any("the oldest batch in the spool has waited for" in reason for reason in reasons)
        assert any("over --max-lag 5m" in reason for reason in reasons)
        assert await endpoint.get("/healthz") == (200, "ok\n")
        gates[0].opened.set()
        await running.until_stored(2)

        async def is_ready() -> bool:
            return (await endpoint.ready())[0] == 200

        await until_it_is(is_ready)
        running.stop.stop.set()
        await running.until(lambda: running.context.vitals.stopping)
        assert await endpoint.ready() == (503, ["it is being stopped"])


async def test_half_of_a_list_inside_a_watch_is_not_ready(server: ApiServer, tmp_path: Path) -> None:
    await server.put(event(1))
    (item,) = server.objects.values()
    server.streams = True

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(json.dumps({"type": "ADDED", "object": item}).encode() + b"\n")
        await asyncio.Event().wait()
        return response

    server.instead["stream"].append(half)
    async with collecting(server.url, tmp_path) as running, served(running.context.vitals) as endpoint:
        await running.until(lambda: running.status.lines == 1)
        assert await endpoint.ready() == (503, ["the events have not been listed and watched yet"])


async def test_a_process_that_was_just_started_lives_and_is_not_ready() -> None:
    async with served(Vitals()) as endpoint:
        assert await endpoint.ready() == (503, ["it has just been started"])
        assert await endpoint.get("/healthz") == (200, "ok\n")


async def test_a_stage_that_has_ended_is_what_only_a_restart_mends() -> None:
    vitals = Vitals()
    running = asyncio.create_task(asyncio.Event().wait())
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    vitals.stages |= {"watch": running, "delivery": ended}
    async with served(vitals) as endpoint:
        assert await endpoint.get("/healthz") == (503, "the stage 'delivery' has ended\n")
    running.cancel()


async def test_servers_that_are_away_are_no_reason_to_restart_it(tmp_path: Path) -> None:
    everything = Everything(tmp_path)
    vitals = await everything.show()
    everything.store.counters.trouble = "connection refused"
    everything.bus.trouble.begin("connection refused")
    async with served(vitals) as endpoint:
        assert (await endpoint.get("/healthz"))[0] == 200
        assert await endpoint.value("pullstudy_sink_trouble", edge="influxdb") == 1


def test_between_two_watches_it_stays_ready_for_a_moment() -> None:
    clock, status = VirtualClock(), CollectorStatus()
    condition = watches(status, clock)
    assert condition() == "the events have not been listed and watched yet"
    status.watching = True
    assert condition() is None
    status.watching, status.watch_ended = False, clock.monotonic_seconds()
    clock.advance(BETWEEN_WATCHES_SECONDS)
    assert condition() is None
    clock.advance(25)
    assert condition() == "no watch is open since 35 s"


def test_a_lag_is_told_with_its_limit() -> None:
    lag = 59.0
    condition = keeps_up("the oldest message", lambda: lag, 60.0)
    assert condition() is None
    lag = 61.0
    assert condition() == "the oldest message has waited for 61 s, over --max-lag 1m"


def test_a_setting_that_is_wrong_makes_it_unready_at_once_and_a_server_that_is_away_does_not() -> None:
    assert is_not_refused("kafka", lambda: None)() is None
    assert is_not_refused("kafka", lambda: DeliveryTrouble("connection refused"))() is None
    assert is_not_refused("kafka", lambda: DeliveryTrouble("401", alarm=True))() == "kafka refuses: 401"


async def test_a_full_spool_is_told(tmp_path: Path) -> None:
    with Spool(tmp_path, SpoolSettings(segment_bytes=100, most_bytes=400)) as spool:
        queue = SpoolQueue(spool, KeptNotices(), SystemClock())
        condition = has_room(queue)
        batch = Batch(pulls=tuple(pull(f"u{number}") for number in range(10)))
        await queue.append("events", b"1", batch)
        waiting = asyncio.create_task(queue.append("events", b"2", batch))
        await until(lambda: queue.paused)
        assert condition() == f"the spool is full ({spool.size_bytes} of 400 bytes): the watch is paused"
        await queue.acknowledge(spool.last)
        await waiting
        assert condition() is None
        await queue.close()


def test_trouble_of_the_edges_is_told_as_it_is_now() -> None:
    trouble = Trouble("Kafka", KeptNotices(), lambda: 0.0, 60.0)
    assert bus_trouble(trouble) is None
    trouble.begin("not authorised", alarm=True)
    assert bus_trouble(trouble) == DeliveryTrouble("not authorised", alarm=True)
    store = InfluxStore(InfluxSettings("http://127.0.0.1:1", "o", token="t"), KeptNotices(), Random(1))
    assert store_trouble(store) is None
    store.counters.trouble = "503"
    assert store_trouble(store) == DeliveryTrouble("503")


async def test_an_address_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = Address(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ListenError, match=f"--listen {place}: .*address already in use"):
            async with endpoints(place, Vitals(), KeptNotices()):
                pass


async def test_it_listens_where_an_address_is_given_and_nowhere_else() -> None:
    notices = KeptNotices()
    async with listening(None, Vitals(), notices):
        assert notices.lines == []
    async with listening(Address("127.0.0.1:0"), Vitals(), notices):
        assert (await Endpoint.told(notices.said("info")[0]).get("/healthz"))[0] == 200


async def test_without_a_host_every_address_that_it_took_is_said_and_answers() -> None:
    notices = KeptNotices()
    async with listening(Address(":0"), Vitals(), notices):
        urls = re.findall(r"http://[^ ]+:[0-9]+", notices.said("info")[0])
        assert any(url.startswith("http://0.0.0.0:") for url in urls)
        for url in urls:
            assert (await Endpoint(url).get("/healthz"))[0] == 200


async def test_two_parts_share_a_metric_without_writing_it_twice() -> None:
    vitals = Vitals()
    bus = KafkaBus(KafkaSettings("127.0.0.1:1"), KeptNotices(), Random(1))
    vitals.sources += [sending_source("collector", bus), sending_source("sink", bus)]
    vitals.sources.append(taking_source("sink", await bus.consume("group")))
    async with served(vitals) as endpoint:
        families = [each for each in await endpoint.families() if each.name == "pullstudy_kafka_sent_messages"]
    assert len(families) == 1
    assert {sample.labels["part"] for sample in families[0].samples} == {"collector", "sink"}


def test_readiness_and_the_alert_agree_on_the_lag() -> None:
    from dashboards.alerts import alerts
    from dashboards.flux import Bucket

    limits = {alert.uid: alert.above for alert in alerts(Bucket("pulls"))}
    assert limits["pullstudy-lag"] == SETTINGS.max_lag_seconds
