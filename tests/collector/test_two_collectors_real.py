"""Two collectors on one cluster, and on two clusters, into one Kafka and one InfluxDB: each pull is one point.

The oracle is the writer's log of every (uid, count) that the API server acknowledged; points are counted by Flux.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.real.collecting import Collector, CollectorCommand
from tests.real.load import Acknowledged, Load, event_writer
from tests.real.points import Points
from tests.stack.control_plane import ControlPlane
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
EVENTS = 300  # of each load
NODES = 16
STORED_SECONDS = 240.0  # a member that was killed keeps its share for 30 s, in the middle of a rebalance for longer


class Shared:
    """One topic and one bucket, and what is in them."""

    def __init__(self, kafka: Kafka, topic: str, influx: Influx, bucket: str, directory: Path) -> None:
        self._kafka, self._influx, self._bucket, self._directory = kafka, influx, bucket, directory
        self._environment = {**influx.environment(), "INFLUXDB_V2_BUCKET": bucket, "KAFKA_TOPIC": topic}
        self.points = Points(influx, bucket)

    def collector(self, name: str, cluster: ControlPlane, *more: str) -> Collector:
        """With a data directory of its own."""
        options = ["--kafka", self._kafka.bootstrap, *more]
        kubeconfig = cluster.access.kubeconfig()
        return Collector(kubeconfig, self._directory, name=name, more=options, environment=self._environment)

    def with_its_own_sink(self, name: str, cluster: ControlPlane, *more: str) -> Collector:
        """The same, and a sink in the same process: they die together."""
        return self.collector(name, cluster, "--influx", self._influx.url, *more)

    def sink(self) -> CollectorCommand:
        arguments = ["sink", "--kafka", self._kafka.bootstrap, "--influx", self._influx.url]
        return CollectorCommand("sink", arguments, self._directory, "storing what is on", self._environment)

    async def until_exact(self, acknowledged: Acknowledged) -> None:
        """All that was acknowledged is there, each once, and nothing else."""
        await self.points.until_stored(acknowledged.identities, STORED_SECONDS)
        found = await self.points.identities()
        assert found.keys() == acknowledged.identities
        assert set(found.values()) == {1}
        assert await self.points.count() == len(acknowledged.identities)
        # An event of a pull is one moment of its pod's life too.
        assert await self.counts("milestone", "cluster") == await self.counts("pull", "cluster")

    async def counts(self, measurement: str, tag: str) -> Mapping[str, int]:
        """Points by the value of a tag, counted by the server."""
        rows = await self._influx.query(
            f'from(bucket: "{self._bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}"'
            f' and r._field == "event_uid") |> group(columns: ["{tag}"]) |> count()'
        )
        return {row[tag]: int(row["_value"]) for row in rows}


@pytest.fixture
def shared(kafka: Kafka, topic: str, influx: Influx, bucket: str, tmp_path: Path) -> Shared:
    return Shared(kafka, topic, influx, bucket, tmp_path)


async def test_either_of_two_collectors_on_one_cluster_may_die_and_no_pull_is_lost_or_doubled(
    control_plane: ControlPlane, namespace: str, shared: Shared
) -> None:
    first, second = (
        shared.with_its_own_sink(name, control_plane, "--namespace", namespace) for name in ("first", "second")
    )
    kubeconfig = control_plane.access.kubeconfig()
    async with first, second, event_writer(kubeconfig, namespace) as writer:

        async def write_and_kill(job: str, victim: Collector) -> None:
            """SIGKILL in the middle: some of the load is acknowledged, and some is not."""
            before = len(writer.acknowledged.identities)
            writing = asyncio.create_task(writer.write(Load(EVENTS, NODES, job, burst_events=50)))
            while len(writer.acknowledged.identities) < before + EVENTS // 2:  # noqa: ASYNC110 - nobody could set an event
                await asyncio.sleep(0.01)
            victim.kill()
            await writing

        await writer.write(Load(EVENTS, NODES, "both"))
        await write_and_kill("second-alone", first)
        await shared.until_exact(writer.acknowledged)
        await first.start()  # from its own checkpoint: it publishes once more what the other has published
        await write_and_kill("first-alone", second)
        await shared.until_exact(writer.acknowledged)
        await second.start()
        await writer.write(Load(EVENTS, NODES, "both-again"))
        await shared.until_exact(writer.acknowledged)
        await first.stop()
        await second.stop()
    await shared.until_exact(writer.acknowledged)
    assert len(writer.acknowledged.identities) == 4 * EVENTS


async def test_two_clusters_with_the_same_names_in_them_stay_two(
    control_plane: ControlPlane, own_control_plane: ControlPlane, namespace: str, shared: Shared
) -> None:
    """Namespaces, nodes, jobs and pods are called the same in both."""
    made = {"metadata": {"name": namespace}}
    await own_control_plane.access.request("POST", "/api/v1/namespaces", made)
    acknowledged = Acknowledged()
    clusters = {"one": control_plane, "two": own_control_plane}
    collectors = [
        shared.collector(name, cluster, "--cluster", name, "--namespace", namespace)
        for name, cluster in clusters.items()
    ]
    async with collectors[0], collectors[1], shared.sink() as sink:
        for cluster in clusters.values():
            async with event_writer(cluster.access.kubeconfig(), namespace, acknowledged) as writer:
                await writer.write(Load(EVENTS, NODES, "same"))
        await shared.until_exact(acknowledged)
        assert await shared.counts("pull", "cluster") == {"one": EVENTS, "two": EVENTS}
        for each in (*collectors, sink):
            await each.stop()
