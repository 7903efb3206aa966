"""From the spool to the store: order, back-pressure, and a store that is busy or refuses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from collector.context import Context
from collector.delivering.delivery import Delivery, DeliveryTarget, Written
from collector.log import Format, Log
from collector.settings import DeliverySettings, SpoolSettings
from collector.spooling.spool import Spool
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.pulls.batch import Batch, Reject
from pullstudy.store.protocol import StoreBusyError, StoreError
from tests.collector.api_server import ApiServer, serving
from tests.collector.harness import EXACT, SETTINGS, VirtualClock, collecting, stored_counts
from tests.collector.kube_events import event
from tests.collector.polling import until

SMALL_SPOOL = replace(SETTINGS, spool=SpoolSettings(segment_bytes=2_000, most_bytes=10_000))


def rejects(count: int) -> Batch:
    return Batch(
        rejects=tuple(Reject(cluster="c", source="watch", position=str(at), problem="p", raw="") for at in range(count))
    )


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


class Gate:
    """A sink that lets nothing through until it is opened."""

    def __init__(self, sink: DeliveryTarget) -> None:
        self._sink = sink
        self.opened = asyncio.Event()

    async def write(self, batch: Batch) -> Written:
        await self.opened.wait()
        return await self._sink.write(batch)


class Counting:
    """A sink that keeps how many records came in each write."""

    def __init__(self) -> None:
        self.writes: list[int] = []

    async def write(self, batch: Batch) -> Written:
        self.writes.append(len(batch))
        return Written(new=len(batch))


class Failing:
    """A sink that raises these first."""

    def __init__(self, sink: DeliveryTarget, *errors: Exception) -> None:
        self._sink = sink
        self._errors = list(errors)

    async def write(self, batch: Batch) -> Written:
        if self._errors:
            raise self._errors.pop(0)
        return await self._sink.write(batch)


async def test_a_store_that_stands_still_pauses_the_watch_at_the_spools_bound_and_loses_nothing(
    server: ApiServer, tmp_path: Path
) -> None:
    gates: list[Gate] = []

    def gated(sink: DeliveryTarget) -> DeliveryTarget:
        gates.append(Gate(sink))
        return gates[0]

    async with collecting(server.url, tmp_path, SMALL_SPOOL, gated) as running:
        await server.until_watched()
        made = 0

        def paused() -> bool:
            return bool(running.told("the watch is paused"))

        while not paused():
            await server.put(event(made))
            made += 1
            await running.until(lambda: running.status.lines == len(server.history) or paused())
        for number in range(made, made + 100):
            await server.put(event(number))
        held = sum(path.stat().st_size for path in (tmp_path / "spool" / "sim-t").glob("*.spool"))
        gates[0].opened.set()
        await running.until_stored(2 * (made + 100))
    assert len(stored_counts(tmp_path)) == made + 100
    assert held < SMALL_SPOOL.spool.most_bytes + SMALL_SPOOL.spool.segment_bytes
    assert running.told("the watch goes on")


async def test_after_a_small_write_what_comes_meanwhile_shares_the_next_and_after_a_large_one_nothing_waits(
    tmp_path: Path,
) -> None:
    delivery = DeliverySettings(pause_seconds=0.05, small_records=10)
    clock, sink = VirtualClock(stepped=delivery.pause_seconds), Counting()
    context = Context(replace(SETTINGS, delivery=delivery), clock, Random(1), Log(clock, Format.TEXT, [].append))
    with Spool(tmp_path, SETTINGS.spool) as spool:
        queue = SpoolQueue(spool, context.log, clock)
        async with asyncio.TaskGroup() as group:
            delivering = group.create_task(Delivery(queue, sink, context).run())
            await queue.append("events", b"1", rejects(1))
            await until(lambda: sink.writes == [1])
            await queue.append("events", b"2", rejects(2))
            await queue.append("events", b"3", rejects(3))
            await clock.step()
            assert sink.writes == [1, 5]
            ended = asyncio.create_task(clock.step())
            await queue.append("events", b"4", rejects(10))
            await until(lambda: sink.writes == [1, 5, 10])
            await queue.append("events", b"5", rejects(1))
            await ended
            assert sink.writes == [1, 5, 10, 1]
            delivering.cancel()
        await queue.close()


async def test_events_that_come_one_by_one_share_an_entry_of_the_spool(server: ApiServer, tmp_path: Path) -> None:
    # The clock of the harness ends waits of this length only when it is told to.
    paused = replace(SETTINGS, watch=replace(SETTINGS.watch, pause_seconds=SETTINGS.reconcile.period_seconds))
    async with collecting(server.url, tmp_path, paused) as running:
        await server.until_watched()
        for number in range(11):
            await server.put(event(number))
            if number == 0:
                await running.until_stored(2)  # and the watch pauses, while the other ten come
        steps = 0
        while running.status.lines < 11:
            await running.clock.step()
            steps += 1
        await running.until_stored(22)
    assert steps < 5
    with Spool(tmp_path / "spool" / "sim-t", SETTINGS.spool) as spool:
        assert spool.last < 10


async def test_a_store_held_by_another_process_is_waited_for(server: ApiServer, tmp_path: Path) -> None:
    busy = [StoreBusyError("store x is held"), StoreBusyError("store x is held")]
    exact = replace(SETTINGS, delivery=replace(SETTINGS.delivery, retry=EXACT))
    await server.put(event(1))
    async with collecting(server.url, tmp_path, exact, lambda sink: Failing(sink, *busy)) as running:
        await running.until_stored(2)
    assert running.backoffs == [0.8, 1.6]
    assert len(running.told("store x is held; trying again")) == 2
    assert len(stored_counts(tmp_path)) == 1


async def test_a_store_that_refuses_stops_the_collector_and_the_next_one_stores_what_was_read(
    server: ApiServer, tmp_path: Path
) -> None:
    await server.put(event(1))
    with pytest.raises(ExceptionGroup) as raised:
        async with collecting(
            server.url, tmp_path, SETTINGS, lambda sink: Failing(sink, StoreError("disk full"))
        ) as running:
            await running.until(lambda: False)
    assert raised.group_contains(StoreError, match="disk full")
    assert stored_counts(tmp_path) == {}
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2)
    assert running.status.lists == 0
    assert len(stored_counts(tmp_path)) == 1


async def test_what_the_store_has_not_taken_within_the_limit_is_stored_at_the_next_start(
    server: ApiServer, tmp_path: Path
) -> None:
    await server.put(event(1))
    hasty = replace(SETTINGS, stop=replace(SETTINGS.stop, within_seconds=0.1))
    async with collecting(server.url, tmp_path, hasty, Gate) as running:
        await server.until_watched()
    assert running.told("stopped before the store had everything")
    assert stored_counts(tmp_path) == {}
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2)
    assert len(stored_counts(tmp_path)) == 1


async def test_a_second_signal_gives_up_draining(server: ApiServer, tmp_path: Path) -> None:
    await server.put(event(1))
    async with collecting(server.url, tmp_path, SETTINGS, Gate) as running:
        await server.until_watched()
        running.stop.give_up.set()
    assert running.told("stopped before the store had everything")
