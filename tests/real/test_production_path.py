"""API server -> collector -> Kafka -> sink -> InfluxDB, all of it real: every acknowledged event is a point, once.

The oracle is the writer's log of every (uid, count) that the API server acknowledged; the points are counted and listed
by Flux. The numbers in brackets are the cases of the list of faults.
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.real.faults import Fault, kills, one_after_the_other
from tests.real.load import CountedUp, Load
from tests.real.measured_run import MIB, Measured, measured_run
from tests.real.production_path import ProductionPath
from tests.real.vitals import Vitals
from tests.stack.control_plane import ControlPlane
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka

pytestmark = pytest.mark.real

EVENTS, NODES = 10_000, 256
BACKOFFS = CountedUp(events=10, counts=40, nodes=NODES, pause_seconds=1.0)
PIECE_BYTES = 2 * MIB  # what is read from the watch at a time, decoded: the spool's limit is looked at before it
TIMES_KILLED = {"kafka": 1, "influxdb": 1, "api-server": 1, "collector-0": 3, "sink-0": 2}


@dataclass(frozen=True)
class Servers:
    """Of one test, to kill and freeze."""

    cluster: ControlPlane
    kafka: Kafka
    influx: Influx


@pytest.fixture
async def servers(own_control_plane: ControlPlane, own_kafka: Kafka, own_influx: Influx) -> Servers:
    """All three."""
    return Servers(own_control_plane, own_kafka, own_influx)


@pytest.fixture
async def path(servers: Servers, tmp_path: Path) -> AsyncIterator[ProductionPath]:
    """One collector and one sink between them."""
    async with ProductionPath(servers.cluster, servers.kafka, servers.influx, tmp_path) as running:
        yield running


def say(line: object) -> None:
    """Shown where the test fails, and with -s."""
    sys.stdout.write(f"{line}\n")


def exact(run: Measured) -> bool:
    """0 missing, 0 surplus, none twice, and no stretch that nobody watched."""
    return run.difference.none and not run.gaps


@pytest.mark.timeout(600)
async def test_ten_thousand_events_of_256_nodes_are_points_each_once(path: ProductionPath) -> None:
    load = Load(events=EVENTS, nodes=NODES, burst_events=500, every_seconds=2.0)
    run, _ = await measured_run(path, load, BACKOFFS, (), say)
    say(run)
    assert run.difference.acknowledged == EVENTS + BACKOFFS.events * BACKOFFS.counts
    assert exact(run), run
    await path.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A run for each of --real-repeats."""
    if "repeat" in metafunc.fixturenames:
        metafunc.parametrize("repeat", range(metafunc.config.option.real_repeats))


@pytest.fixture
def seed(request: pytest.FixtureRequest, repeat: int) -> int:
    """Of the run's faults: --real-seed, counted up by the repeats, else by chance."""
    given = request.config.option.real_seed
    chosen = secrets.randbelow(1_000_000) if given is None else given + repeat
    say(f"--real-seed {chosen}")
    return int(chosen)


@pytest.mark.timeout(900)
async def test_everything_killed_in_one_run_loses_and_doubles_nothing(path: ProductionPath, seed: int) -> None:
    """[1, 7, 14, 17, 18, 20] Broker, InfluxDB and API server once, the collector three times, the sink twice."""
    faults = kills(Random(seed), TIMES_KILLED, EVENTS)
    load = Load(events=EVENTS, nodes=NODES, burst_events=200, every_seconds=1.2)
    run, _ = await measured_run(path, load, BACKOFFS, faults, say)
    say(run)
    assert exact(run), run
    await path.stop()


@pytest.mark.timeout(600)
async def test_a_broker_frozen_for_a_minute_loses_and_doubles_nothing(path: ProductionPath) -> None:
    """[17]"""
    load = Load(events=3_000, nodes=NODES, burst_events=40, every_seconds=1.0)
    frozen = Fault("kafka", at=400, away_seconds=60.0, freezes=True)
    run, _ = await measured_run(path, load, BACKOFFS, [frozen], say)
    say(run)
    assert exact(run), run
    await path.stop()


@pytest.mark.timeout(7_200)
async def test_a_broker_frozen_until_the_spool_is_full_pauses_the_watch_and_bounds_memory_and_disk(
    servers: Servers, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """[22] Ten minutes at 1,000 events/s: --frozen-seconds 600 --events-per-second 1000.

    What is updated in place while the watch is paused for longer than the API server's five minutes of history may be
    missing but for its last count; then a gap is told.
    """
    options = request.config.option
    rate, seconds = options.events_per_second, options.frozen_seconds
    limit = max(1 << 20, rate * 1_000 * 10)  # reached in some 15 s
    more = ["--spool-limit", str(limit)]
    async with ProductionPath(servers.cluster, servers.kafka, servers.influx, tmp_path, more=more) as path:
        load = Load(events=int(rate * (seconds + 20)), nodes=NODES, burst_events=rate // 2, every_seconds=0.5)
        largest = 0

        async def watch_disk() -> None:
            nonlocal largest
            while True:
                largest = max(largest, path.spooled_bytes())
                await asyncio.sleep(0.1)

        frozen = Fault("kafka", at=10, away_seconds=seconds, freezes=True)
        watching = asyncio.create_task(watch_disk())
        counted = CountedUp(events=10, counts=int(seconds / 2) + 10, nodes=NODES, pause_seconds=2.0)
        run, vitals = await measured_run(path, load, counted, [frozen], say, by_time=True)
        watching.cancel()
        say(f"{run}\nlargest spool {largest}, limit {limit}")
        (collector,) = path.collectors
        assert collector.said("the watch is paused")
        assert collector.said("the spool has room again")
        assert limit <= largest <= limit + PIECE_BYTES
        assert memory_grew(vitals, "collector-0", 0.0, 0.15, 1.0) < 64 * MIB
        assert not run.difference.surplus
        assert not run.difference.doubled
        assert bool(run.difference.missing) <= bool(run.gaps)
        assert run.difference.missing == run.difference.merged(run.acknowledged), run
        await path.stop()


@pytest.mark.timeout(7_200)
async def test_a_soak_with_random_faults_leaks_nothing_and_catches_up(
    servers: Servers, tmp_path: Path, request: pytest.FixtureRequest, seed: int
) -> None:
    """[20, 23, 32] Two collectors and two sinks; one of each lives from beginning to end, and is looked at."""
    options = request.config.option
    rate, seconds = options.events_per_second // 2, options.soak_seconds
    async with ProductionPath(servers.cluster, servers.kafka, servers.influx, tmp_path, collectors=2, sinks=2) as path:
        victims = ("kafka", "influxdb", "api-server", "collector-1", "sink-1")
        every = max(15.0, seconds / 20)
        faults = one_after_the_other(Random(seed), victims, seconds, every, most_seconds=12.0)
        load = Load(events=int(rate * seconds), nodes=NODES, burst_events=rate, every_seconds=1.0)
        counted = CountedUp(events=10, counts=int(seconds / 2), nodes=NODES, pause_seconds=1.5)
        run, vitals = await measured_run(path, load, counted, faults, say, by_time=True)
        say(run)
        assert exact(run), run
        assert await path.lag() == 0
        for name in ("collector-0", "sink-0"):
            # Bounded buffers fill at the first backlog, whenever that is: three parcels in the sink.
            assert memory_grew(vitals, name, 0.25, 0.5, 1.0) < 64 * MIB
            first, last = vitals.between(name, 0.05, 0.25), vitals.readings[name][-1]
            assert last.descriptors <= max(reading.descriptors for reading in first) + 4
            assert last.threads <= max(reading.threads for reading in first) + 2
        await path.stop()


def memory_grew(vitals: Vitals, name: str, start: float, middle: float, end: float) -> int:
    """By how many bytes the most memory of the later stretch is over that of the earlier one."""
    earlier, later = (
        max(reading.resident_bytes for reading in vitals.between(name, *stretch))
        for stretch in ((start, middle), (middle, end))
    )
    say(f"{name}: at most {earlier / MIB:.1f} MiB, then {later / MIB:.1f} MiB")
    return later - earlier
