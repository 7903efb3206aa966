"""One burst of events down the production path, with faults or without, compared and measured.

Tests ask whether it is exact, bench/ prints how long it took: both by the same code.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from tests.real.faults import Fault, Victim, inflict
from tests.real.load import Acknowledged, CountedUp, Identity, Load, event_writer
from tests.real.prober import Prober, quantile
from tests.real.production_path import CAUGHT_UP_SECONDS, Difference, ProductionPath
from tests.real.vitals import Vitals
from tests.stack.wait import until

NAMESPACE = "default"
MIB = 1 << 20


@dataclass(frozen=True)
class Used:
    """What one process of the product took, over all its starts."""

    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Measured:
    """Of one run. Times are seconds; what "queryable" means is said in ``prober``."""

    acknowledged: AbstractSet[Identity] = field(repr=False)
    difference: Difference
    gaps: Sequence[str]
    write_seconds: float  # until the last acknowledgement
    queryable_p50: float
    queryable_p99: float
    queryable_most: float
    step_p50: float  # of the prober: by so much the times above are too long at most
    step_p99: float
    all_queryable_after: float  # the last acknowledgement
    used: dict[str, Used]


async def measured_run(
    path: ProductionPath,
    load: Load,
    counted: CountedUp,
    faults: Sequence[Fault],
    say: Callable[[str], None],
    *,
    by_time: bool = False,
) -> tuple[Measured, Vitals]:
    """Write all of it, hurt what is to be hurt, and wait until everything is queryable and committed.

    Faults are due by the number of acknowledged events, or by the seconds since the start.
    """
    acknowledged = Acknowledged()
    prober = Prober(path.points, acknowledged)
    vitals = Vitals({command.process.name: command.process for command in path.commands})
    async with asyncio.TaskGroup() as watching:
        looking = [watching.create_task(prober.run()), watching.create_task(vitals.run())]
        began = time.monotonic()

        def passed() -> float:
            return time.monotonic() - began if by_time else len(acknowledged.identities)

        async with (
            event_writer(path.cluster.access.kubeconfig(), NAMESPACE, acknowledged) as writer,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(inflict(faults, victims(path, acknowledged), passed, say))
            group.create_task(writer.keep_counting_up(counted))
            group.create_task(writer.write(load))
        wrote = time.monotonic() - began
        await _until_told(prober, acknowledged)
        await path.until_no_lag()
        vitals.look()
        for task in looking:
            task.cancel()
    waits, steps = prober.waits_seconds(), sorted(prober.step_seconds)
    measured = Measured(
        acknowledged=frozenset(acknowledged.identities),
        difference=await path.difference(acknowledged.identities),
        gaps=await path.points.gaps(),
        write_seconds=wrote,
        queryable_p50=quantile(waits, 0.5),
        queryable_p99=quantile(waits, 0.99),
        queryable_most=waits[-1],
        step_p50=quantile(steps, 0.5),
        step_p99=quantile(steps, 0.99),
        all_queryable_after=max(prober.told_at.values()) - max(acknowledged.at_seconds.values()),
        used={name: Used(vitals.cpu_seconds(name), vitals.peak_bytes(name) / MIB) for name in vitals.readings},
    )
    return measured, vitals


async def _until_told(prober: Prober, acknowledged: Acknowledged) -> None:
    async def all_told() -> bool:
        return acknowledged.identities <= prober.told_at.keys()

    await until(all_told, CAUGHT_UP_SECONDS, "every acknowledged event to be queryable", poll_seconds=0.2)


def victims(path: ProductionPath, acknowledged: Acknowledged) -> dict[str, Victim]:
    """By the names that faults have; a sink is killed only after it has stored something since its last start, or
    where there is nothing left to store."""
    named = {
        "kafka": Victim(path.kafka),
        "influxdb": Victim(path.influx),
        "api-server": Victim(path.cluster.api_server),
    }
    for collector in path.collectors:
        named[collector.process.name] = Victim(collector)
    for sink in path.sinks:
        named[sink.process.name] = Victim(sink, _Stores(path, acknowledged).since_it_started)
    return named


class _Stores:
    """Whether the number of points has grown since the last time that it was told to have."""

    def __init__(self, path: ProductionPath, acknowledged: Acknowledged) -> None:
        self._points = path.points
        self._acknowledged = acknowledged
        self._before: int | None = None

    async def since_it_started(self) -> bool:
        number = len(await self._points.identities_if_there())
        if self._before is None:
            self._before = number
        if number <= self._before and number < len(self._acknowledged.identities):
            return False
        self._before = None
        return True
