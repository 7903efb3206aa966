"""The sink as a process of its own: bus, group, store and loop put together, run until a signal, and ended in order."""

import asyncio
from dataclasses import dataclass, field
from random import Random

from bus.kafka import KafkaBus
from bus.kafka_settings import KafkaSettings
from collector.sink import Sink, SinkSettings
from pulls.notices import Notices
from store.influx import InfluxStore
from store.influx_settings import InfluxSettings

DEFAULT_GROUP = "pullstudy-sink"


@dataclass(frozen=True)
class SinkTarget:
    """From where to where."""

    kafka: KafkaSettings
    influx: InfluxSettings
    group: str = DEFAULT_GROUP
    sink: SinkSettings = field(default_factory=SinkSettings)


async def run_sink(target: SinkTarget, notices: Notices, random: Random, stop: asyncio.Event) -> None:
    """Store what is on the bus until the event is set. Raises BusError and StoreError, alone or in a group."""
    bus = KafkaBus(target.kafka, notices, random)
    store = InfluxStore(target.influx, notices, random)
    member = await bus.consume(target.group)
    try:
        await Sink(bus, member, store, target.sink, notices).run(stop)
    finally:
        # Each ends within its own limit, whatever the others did.
        for part in (member, store, bus):
            await part.close()
