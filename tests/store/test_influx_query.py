"""Queries go through influxdb-client, and are plain blocking calls wherever they are made."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullstudy.store.influx.blocking_query import ask
from pullstudy.store.influx.query_client import QueryClient, QueryError
from pullstudy.store.influx.settings import InfluxSettings
from tests.store.influx_server import FakeInflux, fake_influx

ROWS: list[dict[str, object]] = [{"cluster": "c", "_value": number} for number in range(3)]


@pytest.fixture
def fake() -> Iterator[FakeInflux]:
    """A server on a loop of its own, in a thread of its own: the test's thread may block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = fake_influx()
    try:
        found = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        found.answers = lambda flux: ROWS
        yield found
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def settings_for(fake: FakeInflux, file: Path | None = None) -> InfluxSettings:
    return InfluxSettings(fake.url, "o", token=None if file else "t", token_file=file)


def values(fake: FakeInflux) -> list[int]:
    return [row.whole_number("_value") for row in ask(settings_for(fake), "buckets()")]


def test_rows_are_read_by_a_plain_call(fake: FakeInflux) -> None:
    assert values(fake) == [0, 1, 2]
    assert fake.tokens == ["Token t"]


def test_rows_are_read_in_a_thread_whose_own_loop_is_running_as_a_notebooks_is(fake: FakeInflux) -> None:
    async def cell() -> list[int]:
        return values(fake)

    assert asyncio.run(cell()) == [0, 1, 2]


def test_rows_are_read_in_several_threads_at_once(fake: FakeInflux) -> None:
    async def read() -> list[list[int]]:
        return await asyncio.gather(*(asyncio.to_thread(values, fake) for _ in range(4)))

    assert asyncio.run(read()) == [[0, 1, 2]] * 4


def test_a_reading_that_is_left_early_leaves_nothing_open(fake: FakeInflux) -> None:
    rows = ask(settings_for(fake), "buckets()")
    assert next(rows)["cluster"] == "c"
    rows.close()  # type: ignore[attr-defined]


def test_a_renewed_token_is_used_by_the_next_query(fake: FakeInflux, tmp_path: Path) -> None:
    file = tmp_path / "token"

    async def ask_twice() -> None:
        client = QueryClient(settings_for(fake, file))
        for token in ("first\n", "second\n"):
            file.write_text(token)
            await client.rows("buckets()")
        await client.close()

    asyncio.run(ask_twice())
    assert fake.tokens == ["Token first", "Token second"]


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(QueryError, match=r"^InfluxDB http://127.0.0.1:1 cannot be read: .*connection refused$"):
        list(ask(InfluxSettings("http://127.0.0.1:1", "o", token="t"), "buckets()"))
