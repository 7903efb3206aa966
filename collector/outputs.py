"""Where the spool delivers to, by what the user gave: a bus, InfluxDB, both, or the embedded store.

| given | the spool feeds | and |
|---|---|---|
| nothing | the embedded store | |
| Kafka | the bus | |
| InfluxDB | InfluxDB; what it refuses is in a file beside the spool | |
| both | the bus | a sink in the same process stores what is on the bus |

The clients are imported where they are used: a collector without them starts a quarter of a second sooner.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.context import Context
from collector.delivery import Sink
from store.sqlite import EmbeddedStore

if TYPE_CHECKING:
    from bus.kafka_settings import KafkaSettings
    from store.influx_settings import InfluxSettings

# Of the sink in the collector's own process: it comes after the spool's, and kubelet kills 30 s after SIGTERM.
SINK_DRAIN_SECONDS = 5.0


@dataclass(frozen=True)
class Outputs:
    """What was given."""

    kafka: "KafkaSettings | None" = None
    influx: "InfluxSettings | None" = None

    @property
    def embedded(self) -> bool:
        return self.kafka is None and self.influx is None


@asynccontextmanager
async def open_output(
    outputs: Outputs, data_directory: Path, spool_directory: Path, context: Context
) -> AsyncIterator[Sink]:
    """What the spool delivers to, open for as long as the block lasts. Raises StoreError, BusError."""
    if outputs.kafka is not None:
        async with _bus(outputs.kafka, context) as sink, _sink_beside(outputs, context):
            yield sink
    elif outputs.influx is not None:
        async with _influx(outputs.influx, spool_directory, context) as sink:
            yield sink
    else:
        from collector.targets import EmbeddedTarget

        store = EmbeddedStore(data_directory, create=True)
        try:
            yield EmbeddedTarget(store)
        finally:
            await store.close()


@asynccontextmanager
async def _bus(settings: "KafkaSettings", context: Context) -> AsyncIterator[Sink]:
    from bus.kafka import KafkaBus, Timing
    from collector.targets import BusTarget

    clock = context.clock
    bus = KafkaBus(settings, context.log, context.random, Timing(clock.sleep, clock.monotonic_seconds))
    try:
        yield BusTarget(bus)
    finally:
        await bus.close()


@asynccontextmanager
async def _influx(settings: "InfluxSettings", spool_directory: Path, context: Context) -> AsyncIterator[Sink]:
    from collector.dead_letters import DeadLetterFile
    from collector.targets import StoreTarget
    from store.influx import InfluxStore
    from store.influx_write import Timing

    clock = context.clock
    timing = Timing(clock.sleep, clock.monotonic_seconds, clock.now)
    store = InfluxStore(settings, context.log, context.random, timing)
    try:
        yield StoreTarget(store, DeadLetterFile(spool_directory), context.log, clock.now)
    finally:
        await store.close()


@asynccontextmanager
async def _sink_beside(outputs: Outputs, context: Context) -> AsyncIterator[None]:
    """The sink of this process, ended after the block: what that published last is stored too, if there is time."""
    if outputs.kafka is None or outputs.influx is None:
        yield
        return
    from collector.sink import SinkSettings
    from collector.sink_daemon import SinkTarget, run_sink

    stop = asyncio.Event()
    target = SinkTarget(outputs.kafka, outputs.influx, sink=SinkSettings(drain_seconds=SINK_DRAIN_SECONDS))
    async with asyncio.TaskGroup() as group:
        group.create_task(run_sink(target, context.log, context.random, stop))
        yield
        stop.set()
