"""A source is whatever brings batches with a position: the collector asks nothing else of it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from collector.errors import SpoolError
from collector.monitoring.vitals import Reading
from collector.sources.source import SourceSpool
from collector.spooling.spool import Spool
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.api_server import ApiServer, serving
from tests.collector.harness import SETTINGS, collecting, put_pulls

SPOOL = Path("spool", "sim-t")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


class Numbers:
    """A source that is no watch of anything: it counts, and its position is the last number."""

    name = "numbers"

    def __init__(self, position: bytes | None, most: int) -> None:
        self.first = int(position or b"0") + 1
        self.brought = asyncio.Event()
        self._most = most

    async def run(self, spool: SourceSpool) -> None:
        for number in range(self.first, self._most + 1):
            await spool.append(Batch(pulls=(pull(number),)), str(number).encode())
        await spool.append(Batch(pulls=(pull(0),)))
        self.brought.set()
        await asyncio.Event().wait()

    def why_not_ready(self) -> str | None:
        return None if self.brought.is_set() else "not all numbers were brought yet"

    def readings(self) -> Iterable[Reading]:
        return [Reading(names.LISTS, {("numbers",): float(self._most)})]


class Broken(Numbers):
    """It ends."""

    name = "broken"

    async def run(self, spool: SourceSpool) -> None:
        raise SpoolError("no numbers")


def pull(number: int) -> PullRecord:
    return PullRecord(cluster="sim-t", outcome=Outcome.PULLED, event_uid=f"number-{number}", count=1)


def position(directory: Path, source: str) -> bytes | None:
    with Spool(directory / SPOOL, SETTINGS.spool) as spool:
        return spool.position(source)


async def test_another_source_runs_beside_the_watches_and_goes_on_where_it_was(
    server: ApiServer, tmp_path: Path
) -> None:
    await put_pulls(server, 0, 3)
    for most in (2, 5):
        source = Numbers(position(tmp_path, "numbers"), most)
        async with collecting(server.url, tmp_path, more_sources=[source]) as running:
            await running.until(lambda: bool(running.context.vitals.stages))
            await source.brought.wait()
            await server.until_watched()
            await running.until(lambda: not running.context.vitals.why_not_ready())
            assert set(running.context.vitals.stages) == {"events", "numbers", "delivery"}
            shown = [reading.values for reading in running.context.vitals.readings() if reading.metric is names.LISTS]
            assert {("numbers",): float(most)} in shown
        assert position(tmp_path, "numbers") == str(most).encode()
    assert source.first == 3
    store = EmbeddedStore(tmp_path, create=False)
    numbers = sorted(each.event_uid for each in store.pulls() if each.event_uid.startswith("number-"))
    events = [each for each in store.pulls() if not each.event_uid.startswith("number-")]
    store.close_now()
    assert numbers == [f"number-{number}" for number in range(6)]
    assert len(events) == 3


async def test_a_source_that_ends_in_an_error_ends_the_collector(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with collecting(server.url, tmp_path, more_sources=[Broken(None, 1)]) as running:
            await running.until(lambda: False)
    error: BaseException = raised.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert str(error) == "no numbers"
