"""What /readyz and /metrics of a collector and a sink say while a real Kafka and a real InfluxDB come and go."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.collector.api_server import ApiServer, serving, write_kubeconfig
from tests.collector.kube_events import event
from tests.collector.scraping import Endpoint
from tests.real.collecting import Collector, CollectorCommand
from tests.real.points import Points
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.wait import until

pytestmark = pytest.mark.real
LISTEN = ("--listen", "127.0.0.1:0", "--max-lag", "2s")
SEEN_SECONDS = 90.0


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


async def endpoint_of(command: CollectorCommand) -> Endpoint:
    await command.until_said("listening on ")
    return Endpoint.told(command.said("listening on ")[0])


async def until_ready(endpoint: Endpoint) -> None:
    async def is_ready() -> bool:
        return await endpoint.ready() == (200, ["ok"])

    await until(is_ready, SEEN_SECONDS, "readiness")


async def until_not_ready(endpoint: Endpoint, reason: str) -> None:
    """For this reason; and it lives all the same."""

    async def is_told() -> bool:
        status, reasons = await endpoint.ready()
        return status == 503 and any(reason in each for each in reasons)

    await until(is_told, SEEN_SECONDS, f"unreadiness: {reason}")
    assert await endpoint.get("/healthz") == (200, "ok\n")


async def lag_messages(endpoint: Endpoint) -> float | None:
    """Of all partitions together; None before they are known."""
    found = [
        sample.value
        for family in await endpoint.families()
        for sample in family.samples
        if sample.name == "pullstudy_sink_lag_messages"
    ]
    return sum(found) if found else None


class Parts:
    """A collector and a sink, with the settings of these servers."""

    def __init__(self, server: ApiServer, kafka: Kafka, topic: str, influx: Influx, directory: Path) -> None:
        self._kafka, self._influx, self._directory = kafka, influx, directory
        self._kubeconfig = write_kubeconfig(directory / "kubeconfig", server.url)
        self._environment = {**influx.environment(), "KAFKA_TOPIC": topic}

    def collector(self, *more: str) -> Collector:
        options = ("--kafka", self._kafka.bootstrap, *LISTEN, *more)
        return Collector(self._kubeconfig, self._directory, more=options, environment=self._environment)

    def sink(self, changed: Mapping[str, str] | None = None) -> CollectorCommand:
        arguments = ["sink", "--kafka", self._kafka.bootstrap, "--influx", self._influx.url, *LISTEN]
        environment = {**self._environment, **(changed or {})}
        return CollectorCommand("sink", arguments, self._directory, "storing what is on", environment)


async def put(server: ApiServer, first: int, number: int) -> set[tuple[str, int]]:
    made = [event(index) for index in range(first, first + number)]
    for each in made:
        await server.put(each)
    return {(each["metadata"]["uid"], 1) for each in made}


async def test_a_sink_is_not_ready_while_its_store_hangs_and_catches_up_after(
    server: ApiServer, kafka: Kafka, topic: str, own_influx: Influx, tmp_path: Path
) -> None:
    parts, points = Parts(server, kafka, topic, own_influx, tmp_path), Points(own_influx, own_influx.bucket)
    wanted = await put(server, 0, 20)
    async with parts.collector() as collector, parts.sink() as sink:
        watching, storing = await endpoint_of(collector), await endpoint_of(sink)
        await points.until_stored(wanted, SEEN_SECONDS)
        await until_ready(watching)
        await until_ready(storing)
        assert await watching.value("pullstudy_collector_stored_total") == 40
        assert await watching.value("pullstudy_kafka_sent_messages_total", part="collector") == 40
        assert await storing.value("pullstudy_sink_write_seconds_count") in range(1, 41)
        own_influx.freeze()
        wanted |= await put(server, 20, 30)
        await until_not_ready(storing, "the oldest message has waited for")

        async def lag_is(messages: float) -> bool:
            return await lag_messages(storing) == messages

        await until(lambda: lag_is(60), SEEN_SECONDS, "the lag of 30 pulls and 30 milestones")
        assert await watching.ready() == (200, ["ok"])  # Kafka has them all
        own_influx.thaw()
        await until_ready(storing)
        await points.until_stored(wanted, SEEN_SECONDS)
        await until(lambda: lag_is(0), SEEN_SECONDS, "no lag")
        assert await storing.value("pullstudy_sink_stored_total") == 100
        await sink.stop()
        await collector.stop()


async def test_a_collector_is_not_ready_while_kafka_is_dead(
    server: ApiServer, own_kafka: Kafka, topic: str, influx: Influx, tmp_path: Path
) -> None:
    parts = Parts(server, own_kafka, topic, influx, tmp_path)
    await put(server, 0, 5)
    async with parts.collector() as collector:
        endpoint = await endpoint_of(collector)
        await until_ready(endpoint)
        own_kafka.kill()
        await put(server, 5, 5)
        await until_not_ready(endpoint, "the oldest batch in the spool has waited for")
        assert await endpoint.value("pullstudy_collector_watching") == 1
        assert await endpoint.value("pullstudy_collector_spool_entries") in range(1, 6)
        await own_kafka.start()
        await until_ready(endpoint)
        assert await endpoint.value("pullstudy_collector_spool_entries") == 0
        assert await endpoint.value("pullstudy_collector_stored_total") == 20
        await collector.stop()


async def test_a_wrong_token_is_told_before_the_lag_is(
    server: ApiServer, kafka: Kafka, topic: str, influx: Influx, tmp_path: Path
) -> None:
    parts = Parts(server, kafka, topic, influx, tmp_path)
    await put(server, 0, 5)
    async with parts.collector() as collector, parts.sink({"INFLUXDB_V2_TOKEN": "of-nobody"}) as sink:
        endpoint = await endpoint_of(sink)
        await until_not_ready(endpoint, "InfluxDB refuses: 401 unauthorized access: the token is not accepted")
        assert await endpoint.value("pullstudy_sink_trouble", edge="influxdb") == 1
        assert (await endpoint.value("pullstudy_influxdb_requests_total", part="sink", status="401") or 0) >= 1
        await collector.stop()
        await sink.stop()
