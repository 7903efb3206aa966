"""Whatever happens between bus and store, each record ends as one record of the store or as one dead letter."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from collector.delivering.sink import Sink, SinkSettings
from pullstudy.bus.embedded import EmbeddedBus
from pullstudy.bus.protocol import Consumer, Parcel
from pullstudy.bus.record_format import encode
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import Delivered, Refused
from tests.notices import KeptNotices
from tests.store.records import gap, milestone, pull, reject

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = SinkSettings(batch_messages=10, linger_seconds=0.0, idle_seconds=0.01, drain_seconds=5.0)


class DyingError(Exception):
    """Stands for a kill: whatever was not durable is gone."""


class StoreKeeper:
    """The embedded store, with faults around its write."""

    def __init__(self, directory: Path) -> None:
        self.store = EmbeddedStore(directory, create=True)
        self.before: Callable[[Batch], Any] = lambda batch: None
        self.after: Callable[[Batch], Any] = lambda batch: None
        self.refuses: Callable[[PullRecord], bool] = lambda record: False
        self.hold: asyncio.Event | None = None
        self.batches: list[Batch] = []
        self.under_way = self.most_under_way = 0

    async def deliver(self, batch: Batch) -> Delivered:
        self.batches.append(batch)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.before(batch)
            if self.hold is not None:
                await self.hold.wait()
            refused = [record for record in batch.pulls if self.refuses(record)]
            good = Batch(
                pulls=tuple(record for record in batch.pulls if record not in refused),
                milestones=batch.milestones,
                rejects=batch.rejects,
                gaps=batch.gaps,
            )
            await self.store.write(good)
            self.after(batch)
            return Delivered(len(good), tuple(Refused(record, "422 type conflict") for record in refused))
        finally:
            self.under_way -= 1

    def uids(self) -> list[str]:
        return sorted(record.event_uid for record in self.store.pulls())


class Bench:
    """Bus, store, and sinks started and stopped by the test."""

    def __init__(self, directory: Path, settings: SinkSettings = QUICK) -> None:
        self.bus = EmbeddedBus()
        self.keeper = StoreKeeper(directory)
        self.settings = settings
        self.notices = KeptNotices()
        self.sink: Sink | None = None

    async def start(self, consumer: Consumer | None = None) -> tuple[asyncio.Event, asyncio.Task[None]]:
        stop = asyncio.Event()
        consumer = consumer or await self.bus.consume("g")
        self.sink = Sink(self.bus, consumer, self.keeper, self.settings, self.notices, now=lambda: NOW)

        async def run(sink: Sink, consumer: Consumer) -> None:
            try:
                await sink.run(stop)
            finally:
                await consumer.close()

        return stop, asyncio.create_task(run(self.sink, consumer))

    async def run_until(self, done: Callable[[], bool]) -> Sink:
        stop, running = await self.start()
        await until(lambda: done() or running.done())
        stop.set()
        await running
        assert self.sink is not None
        return self.sink

    async def drain(self) -> Sink:
        return await self.run_until(lambda: self.bus.lag("g") == 0)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def pulls(number: int, start: int = 0) -> Batch:
    numbers = range(start, start + number)
    return Batch(pulls=tuple(pull(f"u{each:04}", node=f"n{each % 9}", job="j") for each in numbers))


def uids(number: int) -> list[str]:
    return [f"u{each:04}" for each in range(number)]


async def test_everything_on_the_bus_ends_in_the_store_and_is_committed(bench: Bench) -> None:
    await bench.bus.publish(pulls(95))
    await bench.bus.publish(Batch(milestones=(milestone(),), rejects=(reject(),), gaps=(gap(),)))
    sink = await bench.drain()
    assert bench.keeper.uids() == uids(95)
    assert (len(list(bench.keeper.store.milestones())), len(list(bench.keeper.store.rejects()))) == (1, 1)
    assert (sink.counters.messages, sink.counters.stored, sink.counters.uncommitted) == (98, 98, 0)
    assert sink.counters.under_way == 0
    assert max(len(batch) for batch in bench.keeper.batches) <= 10


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 5])
async def test_a_kill_around_a_write_loses_nothing_and_doubles_nothing(bench: Bench, moment: str, at: int) -> None:
    await bench.bus.publish(pulls(60))

    writes = count(1)

    def die(batch: Batch) -> None:
        if next(writes) == at:
            raise DyingError

    setattr(bench.keeper, moment, die)
    with pytest.raises(ExceptionGroup):
        await bench.drain()
    assert bench.bus.lag("g") > 0
    setattr(bench.keeper, moment, lambda batch: None)
    await bench.drain()
    assert bench.keeper.uids() == uids(60)
    assert bench.bus.lag("g") == 0


async def test_the_whole_topic_replayed_changes_nothing(bench: Bench) -> None:
    await bench.bus.publish(pulls(40))
    await bench.drain()
    before = list(bench.keeper.store.pulls())
    stop, running = await bench.start(await bench.bus.consume("another group"))
    await until(lambda: bench.bus.lag("another group") == 0)
    stop.set()
    await running
    assert list(bench.keeper.store.pulls()) == before


async def test_no_offset_moves_while_the_store_is_away_and_memory_is_bounded(bench: Bench) -> None:
    await bench.bus.publish(pulls(1_000))
    bench.keeper.hold = asyncio.Event()
    stop, running = await bench.start()
    await until(lambda: len(bench.keeper.batches) == QUICK.at_once)
    for _ in range(200):
        await asyncio.sleep(0)
    assert bench.bus.committed("g") == {}
    assert bench.sink is not None
    assert (bench.sink.counters.messages, bench.sink.counters.under_way) == (30, QUICK.at_once)
    bench.keeper.hold.set()
    await until(lambda: bench.bus.lag("g") == 0)
    stop.set()
    await running
    assert bench.keeper.uids() == uids(1_000)
    assert bench.keeper.most_under_way <= QUICK.at_once


async def test_offsets_are_committed_in_the_order_in_which_parcels_were_taken(bench: Bench) -> None:
    """A later parcel that is stored first does not carry the offsets over an earlier one that is not stored."""
    await bench.bus.publish(Batch(pulls=tuple(pull(f"u{number:04}", node="n") for number in range(30))))
    first_may_go_on = asyncio.Event()
    plain = bench.keeper.deliver

    async def deliver(batch: Batch) -> Delivered:
        if batch.pulls[0].event_uid == "u0000":
            await first_may_go_on.wait()
        return await plain(batch)

    bench.keeper.deliver = deliver  # type: ignore[method-assign]
    stop, running = await bench.start()
    await until(lambda: len(bench.keeper.uids()) == 20)
    assert bench.bus.committed("g") == {}
    first_may_go_on.set()
    await until(lambda: bench.bus.lag("g") == 0)
    stop.set()
    await running


async def test_an_unreadable_message_is_buried_with_its_place_and_the_next_is_stored(bench: Bench) -> None:
    await bench.bus.publish(pulls(1))
    odd = bench.bus.append("pulls", b"c/n", b"\x00\x01 no record")
    newer = bench.bus.append("pulls", b"c/n", b'{"schema":7,"kind":"novelty"}')
    await bench.bus.publish(pulls(1, start=1))
    sink = await bench.drain()
    assert bench.keeper.uids() == uids(2)
    assert {(letter.source, letter.value) for letter in bench.bus.dead} == {
        (odd.place, odd.value),
        (newer.place, newer.value),
    }
    assert all(letter.reason for letter in bench.bus.dead)
    assert sink.counters.unreadable == 2


async def test_a_refused_record_is_buried_as_the_message_it_was_and_the_rest_is_stored(bench: Bench) -> None:
    bench.keeper.refuses = lambda record: record.event_uid == "u0007"
    await bench.bus.publish(pulls(20))
    sink = await bench.drain()
    assert len(bench.keeper.uids()) == 19
    (letter,) = bench.bus.dead
    assert letter.value == encode(pull("u0007", node="n7", job="j"))
    assert letter.reason == "422 type conflict"
    assert letter.source.startswith("pulls/")
    assert sink.counters.refused == 1
    assert sink.counters.reasons == {"422 type conflict": 1}


async def test_nothing_is_committed_before_its_dead_letters_are_durable(bench: Bench) -> None:
    bench.bus.append("pulls", b"c/n", b"no record")
    seen = []
    plain = bench.bus.bury

    async def bury(letters: Any) -> None:
        seen.append(bench.bus.committed("g"))
        await plain(letters)

    bench.bus.bury = bury  # type: ignore[method-assign]
    await bench.drain()
    assert seen == [{}]


async def test_offsets_lost_before_they_were_read_are_kept_as_a_gap(bench: Bench) -> None:
    await bench.bus.publish(Batch(pulls=tuple(pull(f"u{number:04}", node="n") for number in range(10))))
    ((partition, _),) = {
        (m.partition, 0) for m in (await (await bench.bus.consume("look")).take(99, 1 << 20, 1)).messages
    }
    bench.bus.forget("pulls", partition, 4)
    sink = await bench.drain()
    assert bench.keeper.uids() == uids(10)[4:]
    (found,) = bench.keeper.store.gaps()
    assert (found.cluster, found.from_version, found.to_version) == (f"pulls/{partition}", "0", "3")
    assert found.found_at == NOW
    assert "retention" in found.why
    assert sink.counters.lost_ranges == 1


async def test_a_second_sink_takes_over_and_the_points_are_exact(bench: Bench) -> None:
    await bench.bus.publish(pulls(100))
    stop_first, first = await bench.start()
    await until(lambda: len(bench.keeper.batches) >= 2)
    stop_second, second = await bench.start()
    await bench.bus.publish(pulls(100, start=100))
    await until(lambda: len(bench.keeper.batches) >= 8)
    stop_first.set()
    await first
    await until(lambda: bench.bus.lag("g") == 0)
    stop_second.set()
    await second
    assert bench.keeper.uids() == uids(200)


async def test_stopping_drains_what_is_under_way(bench: Bench) -> None:
    await bench.bus.publish(pulls(25))
    bench.keeper.hold = asyncio.Event()
    stop, running = await bench.start()
    await until(lambda: len(bench.keeper.batches) == 3)
    stop.set()
    await asyncio.sleep(0)
    bench.keeper.hold.set()
    await running
    assert bench.bus.lag("g") == 0
    assert bench.keeper.uids() == uids(25)


async def test_stopping_with_the_store_away_ends_within_the_limit_and_moves_no_offset(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SinkSettings(batch_messages=10, linger_seconds=0.0, idle_seconds=0.01, drain_seconds=0.05))
    await bench.bus.publish(pulls(50))
    bench.keeper.hold = asyncio.Event()
    stop, running = await bench.start()
    await until(lambda: len(bench.keeper.batches) == 3)
    stop.set()
    await running
    assert bench.bus.committed("g") == {}
    assert "comes again" in bench.notices.said("warning")[0]
    bench.keeper.hold = None
    await bench.drain()
    assert bench.keeper.uids() == uids(50)


async def test_a_commit_that_fails_repeats_the_parcel_and_doubles_nothing(bench: Bench) -> None:
    consumer = await bench.bus.consume("g")
    await bench.bus.publish(pulls(30))

    class Forgetful:
        """A member whose commits do not come through."""

        async def take(self, most_messages: int, most_bytes: int, wait_seconds: float) -> Parcel:
            return await consumer.take(most_messages, most_bytes, wait_seconds)

        async def commit(self, parcel: Parcel) -> bool:
            return False

        async def close(self) -> None:
            await consumer.close()

    stop, running = await bench.start(Forgetful())
    await until(lambda: len(bench.keeper.uids()) == 30)
    stop.set()
    await running
    assert bench.sink is not None
    assert bench.sink.counters.uncommitted == bench.sink.counters.parcels > 0
    await bench.drain()
    assert bench.keeper.uids() == uids(30)


async def test_small_messages_that_come_one_by_one_are_stored_together(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SinkSettings(batch_messages=50, linger_seconds=10.0, idle_seconds=0.01))
    stop, running = await bench.start()
    for number in range(50):
        await bench.bus.publish(pulls(1, start=number))
        await asyncio.sleep(0)
    await until(lambda: bench.bus.lag("g") == 0)
    stop.set()
    await running
    assert len(bench.keeper.batches) <= 2
