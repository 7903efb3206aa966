"""The sink as a part of a process: bus, group, store and loop put together, run until a signal, and ended in order."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from collector.clock import Clock, SystemClock
from collector.delivering.sink import Sink, SinkSettings
from collector.monitoring.conditions import is_not_refused, keeps_up
from collector.monitoring.edge_metrics import SOURCES, bus_trouble, sending_source, store_trouble, taking_source
from collector.monitoring.metrics import info
from collector.monitoring.vitals import DeliveryTrouble, Reading, Vitals
from pullstudy.bus.buses import BusSettings, open_bus
from pullstudy.bus.protocol import GroupMember, SharedBus
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.metric_names import LAG_LIMIT_SECONDS
from pullstudy.pulls.notices import Notices
from pullstudy.store.protocol import SharedStore
from pullstudy.store.stores import StoreSettings, open_store, title_of

DEFAULT_GROUP = "pullstudy-sink"
PART = "sink"
LAG_PERIOD_SECONDS = 10.0  # between two questions for the ends of the partitions: half a usual scrape


@dataclass(frozen=True)
class SinkTarget:
    """From where to where."""

    kafka: BusSettings
    store: StoreSettings
    group: str = DEFAULT_GROUP
    sink: SinkSettings = field(default_factory=SinkSettings)
    max_lag_seconds: float = LAG_LIMIT_SECONDS  # over it the sink is not ready


async def run_sink(
    target: SinkTarget,
    notices: Notices,
    random: Random,
    stop: asyncio.Event,
    vitals: Vitals | None = None,
    clock: Clock | None = None,
) -> None:
    """Store what is on the bus until the event is set. Raises BusError and StoreError, alone or in a group."""
    bus = open_bus(target.kafka, notices, random)
    store = open_store(target.store, notices, random)
    member = await bus.consume(target.group)
    sink = Sink(bus, member, store, target.sink, notices)
    watched = SinkWatch(target, bus, member, store, sink, clock or SystemClock())
    vitals = vitals or Vitals()
    watched.show(vitals)
    try:
        async with asyncio.TaskGroup() as group:
            measuring = group.create_task(watched.measure())
            vitals.stages[PART] = storing = group.create_task(sink.run(stop))
            await storing
            measuring.cancel()
    finally:
        await _close(member, store, bus)


async def _close(*parts: GroupMember | SharedStore | SharedBus) -> None:
    # At once, since each ends within a limit of its own; and each, whatever the others did.
    ends = await asyncio.gather(*(part.close() for part in parts), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end


class SinkWatch:
    """What can be seen of a running sink."""

    def __init__(
        self,
        target: SinkTarget,
        bus: SharedBus,
        member: GroupMember,
        store: SharedStore,
        sink: Sink,
        clock: Clock,
    ) -> None:
        self._target = target
        self._bus = bus
        self._member = member
        self._store = store
        self._sink = sink
        self._clock = clock
        self._lag_messages: dict[tuple[str, int], int] = {}  # as last told: while the bus is away, what it was

    def show(self, vitals: Vitals) -> None:
        """In the metrics and in what makes the process ready."""
        vitals.sources += [
            self._readings,
            sending_source(PART, self._bus),
            taking_source(PART, self._member),
            SOURCES[self._target.store.store](PART, self._store),
        ]
        vitals.ready_when += [
            self._has_joined,
            keeps_up("the oldest message", lambda: self._sink.lag_seconds, self._target.max_lag_seconds),
            is_not_refused("Kafka", self._kafka_trouble),
            is_not_refused(title_of(self._target.store), lambda: store_trouble(self._store)),
        ]

    def _has_joined(self) -> str | None:
        return None if self._member.connected else "it has no part in the consumer group"

    def _kafka_trouble(self) -> DeliveryTrouble | None:
        """Reading goes before burying: nothing is buried that was not read."""
        return bus_trouble(self._member.trouble) or bus_trouble(self._bus.trouble)

    async def measure(self) -> None:
        """Ask for the lag again and again."""
        while True:
            if (lag := await self._member.lag()) is not None:
                self._lag_messages = lag
            await self._clock.sleep(LAG_PERIOD_SECONDS)

    def _readings(self) -> Iterator[Reading]:
        counters = self._sink.counters
        yield info()
        yield Reading(names.SINK_MESSAGES, {(): counters.messages})
        yield Reading(names.SINK_STORED, {(): counters.stored})
        yield Reading(names.SINK_DEAD_LETTERS, {("unreadable",): counters.unreadable, ("refused",): counters.refused})
        yield Reading(names.SINK_LOST_RANGES, {(): counters.lost_ranges})
        yield Reading(names.SINK_PARCELS, {("committed",): counters.committed, ("uncommitted",): counters.uncommitted})
        yield Reading(names.SINK_UNDER_WAY, {(): counters.under_way})
        yield Reading(names.SINK_LAG, {(): self._sink.lag_seconds})
        yield Reading(
            names.SINK_LAG_MESSAGES,
            {(topic, str(number)): lag for (topic, number), lag in self._lag_messages.items()},
        )
        troubles = {"kafka": self._kafka_trouble(), self._target.store.store: store_trouble(self._store)}
        yield Reading(names.SINK_TROUBLE, {(edge,): found is not None for edge, found in troubles.items()})
        yield Reading(names.SINK_WRITE_SECONDS, {(): counters.write_seconds})
