"""The way that production takes, all of it real: API server, collectors, Kafka, sinks, InfluxDB."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.real.collecting import Collector, CollectorCommand
from tests.real.load import Identity
from tests.real.points import Points
from tests.stack.control_plane import ControlPlane
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.wait import until

TOPIC = "pulls"
GROUP = "pullstudy-sink"
STORING = "storing what is on topic"
CAUGHT_UP_SECONDS = 180.0  # a sink that was killed keeps its share for 30 s
PATIENT = ("--connect-tries", "1000")  # a collector that starts while the API server is away waits for it


@dataclass(frozen=True)
class Difference:
    """What was acknowledged beside what is stored."""

    acknowledged: int
    points: int
    missing: AbstractSet[Identity]
    surplus: AbstractSet[Identity]
    doubled: int

    def merged(self, acknowledged: AbstractSet[Identity]) -> AbstractSet[Identity]:
        """The missing ones of which a later count is stored: updates in a stretch that was not watched."""
        last: dict[str, int] = {}
        for uid, count in acknowledged - self.missing:
            last[uid] = max(count, last.get(uid, 0))
        return {(uid, count) for uid, count in self.missing if last.get(uid, 0) > count}

    @property
    def none(self) -> bool:
        """Whether everything is there, each once, and nothing else."""
        return not self.missing and not self.surplus and not self.doubled and self.points == self.acknowledged


class ProductionPath:
    """Collectors and sinks, each a process of its own, between servers that are there."""

    def __init__(
        self,
        cluster: ControlPlane,
        kafka: Kafka,
        influx: Influx,
        directory: Path,
        *,
        collectors: int = 1,
        sinks: int = 1,
        more: Sequence[str] = (),
    ) -> None:
        """``more`` are further options of the collectors. All start with the block."""
        self.cluster, self.kafka, self.influx = cluster, kafka, influx
        self.points = Points(influx, influx.bucket)
        bus = ["--kafka", kafka.bootstrap]
        kubeconfig, environment = cluster.access.kubeconfig(), influx.environment()
        self.collectors = [
            Collector(kubeconfig, directory, name=f"collector-{number}", more=[*bus, *PATIENT, *more])
            for number in range(collectors)
        ]
        arguments = ["sink", *bus, "--influx", influx.url]
        self.sinks = [
            CollectorCommand(f"sink-{number}", arguments, directory, STORING, environment) for number in range(sinks)
        ]

    async def __aenter__(self) -> Self:
        try:
            for command in self.commands:
                await command.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def spooled_bytes(self) -> int:
        """What all collectors' spools take on disk."""
        files = (file for collector in self.collectors for file in collector.directory.rglob("*.spool"))
        return sum(file.stat().st_size for file in files)

    @property
    def commands(self) -> list[CollectorCommand]:
        """All processes of the product."""
        return [*self.collectors, *self.sinks]

    def kill(self) -> None:
        """SIGKILL all of them."""
        for command in self.commands:
            command.kill()

    async def stop(self) -> None:
        """SIGTERM, in the order of the data: each drains, and ends with 0."""
        for command in self.commands:
            if command.process.running:
                await command.stop()

    async def lag(self) -> int:
        """Messages on the topic that the sinks have not committed."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap, group_id=GROUP, enable_auto_commit=False
        ) as asking:
            topics = [name for name in (TOPIC, f"{TOPIC}-context") if name in await asking.topics()]
            places = [
                TopicPartition(topic, number) for topic in topics for number in asking.partitions_for_topic(topic) or ()
            ]
            ends = await asking.end_offsets(places)
            committed = {place: await asking.committed(place) or 0 for place in places}
            return sum(ends[place] - committed[place] for place in places)

    async def until_no_lag(self, deadline_seconds: float = CAUGHT_UP_SECONDS) -> None:
        """Return when the sinks have committed all there is. Raises StackError."""

        async def none() -> bool:
            return await self.lag() == 0

        await until(none, deadline_seconds, "the sinks' lag to be 0", poll_seconds=0.5)

    async def difference(self, acknowledged: AbstractSet[Identity]) -> Difference:
        """Count by Flux, and compare the sets of (uid, count)."""
        found = await self.points.identities()
        return Difference(
            acknowledged=len(acknowledged),
            points=await self.points.count(),
            missing=acknowledged - found.keys(),
            surplus=found.keys() - acknowledged,
            doubled=sum(found.values()) - len(found),
        )
