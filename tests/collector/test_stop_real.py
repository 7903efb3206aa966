"""SIGTERM with dead and with frozen servers: the process is gone within its limit with code 0, and nothing is lost."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.collector.api_server import ApiServer, serving, write_kubeconfig
from tests.collector.kube_events import event
from tests.real.collecting import Collector, CollectorCommand
from tests.real.points import Points
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.server import Server

pytestmark = pytest.mark.real
KUBELET_SECONDS = 30.0  # then kubelet kills; --stop-within is 25 s
FIRST, MORE = 20, 30
PULLS = FIRST + MORE
NOT_CLOSED = "not everything was closed within"

Break = Callable[[Server], None]
WAYS = [pytest.param(Server.kill, id="dead"), pytest.param(Server.freeze, id="frozen")]


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


class Way:
    """Of the events: a collector between a small API server and real ones that are the test's own to break."""

    def __init__(self, server: ApiServer, kafka: Kafka, influx: Influx, directory: Path) -> None:
        self.server, self.kafka, self.influx = server, kafka, influx
        self.points = Points(influx, influx.bucket)
        self.kubeconfig = write_kubeconfig(directory / "kubeconfig", server.url)
        self.directory = directory

    def collector(self, *more: str) -> Collector:
        environment = self.influx.environment()
        return Collector(self.kubeconfig, self.directory, more=more, environment=environment)

    def sink(self) -> CollectorCommand:
        arguments = ["sink", "--kafka", self.kafka.bootstrap, "--influx", self.influx.url]
        return CollectorCommand("sink", arguments, self.directory, "storing what is on", self.influx.environment())

    async def put(self, first: int, number: int) -> None:
        for index in range(first, first + number):
            await self.server.put(event(index))

    async def until_stored(self) -> None:
        """All of them, each once."""
        wanted = {(item["metadata"]["uid"], 1) for item in map(event, range(PULLS))}
        await self.points.until_stored(wanted, 180)
        found = await self.points.identities()
        assert found.keys() == wanted
        assert set(found.values()) == {1}


@pytest.fixture
def way(server: ApiServer, own_kafka: Kafka, own_influx: Influx, tmp_path: Path) -> Way:
    return Way(server, own_kafka, own_influx, tmp_path)


async def stopped_in_time(command: CollectorCommand) -> None:
    """SIGTERM. The last resort is not needed: everything closes by itself. How long it took is shown with -s."""
    pid = command.process.pid
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    async with asyncio.timeout(KUBELET_SECONDS):
        await command.process.ended()
    assert command.process.exit_code == 0, command.process.last_words()
    assert not command.said(NOT_CLOSED), command.process.last_words()
    sys.stdout.write(f"{command.process.name} was gone after {time.monotonic() - began:.1f} s\n")


async def again(*servers: Server) -> None:
    """As they were."""
    for each in servers:
        each.thaw()
        if not each.process.running:
            await each.start()


@pytest.mark.parametrize("broken", WAYS)
async def test_with_both_servers_gone_what_was_read_is_stored_at_the_next_start(way: Way, broken: Break) -> None:
    await way.put(0, FIRST)
    options = ("--kafka", way.kafka.bootstrap, "--influx", way.influx.url)
    collector = way.collector(*options)
    async with collector:
        await way.points.until_stored({(event(0)["metadata"]["uid"], 1)}, 120)
        broken(way.kafka)
        broken(way.influx)
        await way.put(FIRST, MORE)
        await way.server.until_watched()
        await stopped_in_time(collector)
    await again(way.kafka, way.influx)
    async with collector:
        await way.until_stored()
        await stopped_in_time(collector)


@pytest.mark.parametrize("broken", WAYS)
async def test_a_collector_that_never_reached_kafka_stops_in_time(way: Way, broken: Break) -> None:
    broken(way.kafka)
    await way.put(0, PULLS)
    options = ("--kafka", way.kafka.bootstrap, "--influx", way.influx.url)
    collector = way.collector(*options)
    async with collector:
        await asyncio.sleep(3)  # so that clients are in the middle of being opened
        await stopped_in_time(collector)
    await again(way.kafka)
    async with collector:
        await way.until_stored()
        await stopped_in_time(collector)


@pytest.mark.parametrize("broken", WAYS)
async def test_a_collector_before_influxdb_alone_stops_in_time(way: Way, broken: Break) -> None:
    await way.put(0, FIRST)
    collector = way.collector("--influx", way.influx.url)
    async with collector:
        await way.points.until_stored({(event(0)["metadata"]["uid"], 1)}, 60)
        broken(way.influx)
        await way.put(FIRST, MORE)
        await asyncio.sleep(1)
        await stopped_in_time(collector)
    await again(way.influx)
    async with collector:
        await way.until_stored()
        await stopped_in_time(collector)


@pytest.mark.parametrize("broken", WAYS)
async def test_a_sink_between_servers_that_are_gone_stops_in_time(way: Way, broken: Break) -> None:
    await way.put(0, FIRST)
    collector, sink = way.collector("--kafka", way.kafka.bootstrap), way.sink()
    async with collector, sink:
        await way.points.until_stored({(event(0)["metadata"]["uid"], 1)}, 120)
        broken(way.influx)
        await way.put(FIRST, MORE)
        await asyncio.sleep(2)
        broken(way.kafka)
        await stopped_in_time(sink)
        await again(way.kafka, way.influx)
        await sink.start()
        await way.until_stored()
        await stopped_in_time(sink)
        await stopped_in_time(collector)
