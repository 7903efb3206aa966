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
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from collector.context import Context
from collector.delivering.delivery import DeliveryTarget
from collector.monitoring.conditions import is_not_refused
from collector.monitoring.metrics import delivery_source
from collector.monitoring.vitals import DeliveryTrouble, Metrics
from pullstudy.bus.buses import BusSettings, open_bus
from pullstudy.store.embedded.store import EmbeddedStore, upgrade_to_come
from pullstudy.store.stores import StoreSettings, open_store
from pullstudy.timing import Timing

PART = "collector"


@dataclass(frozen=True)
class Outputs:
    """What was given."""

    kafka: BusSettings | None = None
    influx: StoreSettings | None = None

    @property
    def sink_beside(self) -> bool:
        return self.kafka is not None and self.influx is not None

    @property
    def embedded(self) -> bool:
        return self.kafka is None and self.influx is None


@dataclass(frozen=True)
class Output:
    """Where the spool delivers to, and how it is there."""

    target: DeliveryTarget
    name: str
    trouble: Callable[[], DeliveryTrouble | None]
    sources: tuple[Metrics, ...] = ()  # of the client's own metrics

    def show(self, cluster: str, context: Context) -> None:
        """In the metrics and in what makes the process ready."""
        vitals = context.vitals
        vitals.sources += [delivery_source(cluster, context.status, self.name, self.trouble), *self.sources]
        vitals.ready_when.append(is_not_refused(self.name, self.trouble))


@asynccontextmanager
async def open_output(
    outputs: Outputs, data_directory: Path, spool_directory: Path, context: Context
) -> AsyncIterator[Output]:
    """What the spool delivers to, open for as long as the block lasts. Raises StoreError, BusError."""
    if outputs.kafka is not None:
        kafka = outputs.kafka.closing_within(context.settings.stop.close_seconds)
        async with _bus(kafka, context) as output, _sink_beside(kafka, outputs.influx, context):
            yield output
    elif outputs.influx is not None:
        async with _influx(outputs.influx, spool_directory, context) as output:
            yield output
    else:
        async with _embedded(data_directory, context) as output:
            yield output


@asynccontextmanager
async def _embedded(data_directory: Path, context: Context) -> AsyncIterator[Output]:
    from collector.delivering.targets import EmbeddedTarget

    if line := upgrade_to_come(data_directory):
        context.log.info(line)
    store = EmbeddedStore(data_directory, create=True)
    status = context.status
    try:
        yield Output(
            EmbeddedTarget(store), "store", lambda: None if status.held is None else DeliveryTrouble(status.held)
        )
    finally:
        await store.close()


@asynccontextmanager
async def _bus(settings: BusSettings, context: Context) -> AsyncIterator[Output]:
    from collector.delivering.targets import BusTarget
    from collector.monitoring.edge_metrics import bus_trouble, sending_source

    clock = context.clock
    bus = open_bus(settings, context.log, context.random, Timing(clock.sleep, clock.monotonic_seconds, clock.now))
    try:
        yield Output(BusTarget(bus), "kafka", lambda: bus_trouble(bus.trouble), (sending_source(PART, bus),))
    finally:
        await bus.close()


@asynccontextmanager
async def _influx(settings: StoreSettings, spool_directory: Path, context: Context) -> AsyncIterator[Output]:
    from collector.delivering.dead_letters import DeadLetterFile
    from collector.delivering.targets import StoreTarget
    from collector.monitoring.edge_metrics import store_source, store_trouble

    clock = context.clock
    timing = Timing(clock.sleep, clock.monotonic_seconds, clock.now)
    store = open_store(settings, context.log, context.random, timing)
    target = StoreTarget(store, DeadLetterFile(spool_directory), context.log, clock.now)
    try:
        yield Output(target, "influxdb", lambda: store_trouble(store), (store_source(PART, store),))
    finally:
        await store.close()


@asynccontextmanager
async def _sink_beside(kafka: BusSettings, influx: StoreSettings | None, context: Context) -> AsyncIterator[None]:
    """The sink of this process, ended after the block: what that published last is stored too, if there is time."""
    if influx is None:
        yield
        return
    from collector.delivering.sink import SinkSettings
    from collector.delivering.sink_daemon import SinkTarget, run_sink

    stop, settings, vitals = asyncio.Event(), context.settings, context.vitals
    sink = SinkSettings(drain_seconds=settings.stop.sink_drain_seconds)
    target = SinkTarget(kafka, influx, sink=sink, max_lag_seconds=settings.max_lag_seconds)
    async with asyncio.TaskGroup() as group:
        group.create_task(run_sink(target, context.log, context.random, stop, vitals, context.clock))
        yield
        stop.set()
