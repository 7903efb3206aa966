"""A bucket has one layout of points, and goes on in it: a writer asks which before its first point."""

import asyncio
from typing import Any

import pytest

from pullstudy.store.influx.settings import InfluxSettings, InfluxSettingsError
from tests.store.influx_server import FakeInflux, fake_influx
from tests.store.test_influx_write import Bench, pulls

Answers = list[dict[str, object]]


def series(**counts: int) -> Answers:
    return [{"layout": name.removeprefix("of_"), "series": count} for name, count in counts.items()]


def told(server: FakeInflux) -> set[str | None]:
    """What the pulls say of their layout."""
    return {dict(key[1]).get("layout") for key in server.points}


@pytest.mark.parametrize(
    ("answer", "layout", "says"),
    [
        (series(of_1=0, of_2=0), "2", []),
        (series(of_1=0, of_2=256), "2", []),
        (series(of_1=7, of_2=0), None, ["has layout 1 and goes on in it; collector migrate moves it"]),
        (series(of_1=7, of_2=9), "2", ["points of layout 1 beside those of layout 2"]),
    ],
    ids=["empty", "new", "old", "both"],
)
async def test_a_bucket_goes_on_in_its_layout(answer: Answers, layout: str | None, says: list[str]) -> None:
    async with fake_influx() as server:
        server.answers = lambda flux: answer
        bench = Bench(server, layout=None)
        await bench.store.write(pulls(10))
        await bench.store.close()
        said = [text for _, text in bench.notices.lines]
    assert told(server) == {layout}
    assert len(said) == len(says)
    assert all(part in text for part, text in zip(says, said, strict=True))


async def test_the_layout_is_asked_for_once_by_all_who_write_at_once() -> None:
    asked: list[str] = []

    def answer(flux: str) -> Answers:
        asked.append(flux)
        return series(of_1=1, of_2=0)

    async with fake_influx() as server:
        server.answers = answer
        bench = Bench(server, layout=None)
        await asyncio.gather(*(bench.store.write(pulls(3)) for _ in range(5)))
        await bench.store.close()
    assert len(asked) == 1


@pytest.mark.parametrize(("layout", "tag"), [(1, None), (2, "2")])
async def test_a_layout_that_is_set_is_not_asked_for(layout: int, tag: str | None) -> None:
    def answer(flux: str) -> Answers:
        raise AssertionError(flux)

    async with fake_influx() as server:
        server.answers = answer
        bench = Bench(server, layout=layout)
        await bench.store.write(pulls(3))
        await bench.store.close()
    assert told(server) == {tag}


async def test_while_the_layout_is_not_told_nothing_is_written_and_it_is_said_what_to_set() -> None:
    async with fake_influx() as server:
        answers: list[Any] = [404, 401, 503, series(of_2=1), series(of_1=0, of_2=1)]
        server.refuse_queries = lambda: answers.pop(0) if isinstance(answers[0], int) else None
        server.answers = lambda flux: answers.pop(0)
        bench = Bench(server, layout=None)
        seen: list[tuple[bool, int]] = []
        bench.time.on_sleep = lambda: seen.append((bench.store.counters.alarm, len(server.points)))
        await bench.store.write(pulls(3))
        await bench.store.close()
    assert seen == [(True, 0), (True, 0), (False, 0), (True, 0)]
    assert len(server.points) == 3
    said = [text for _, text in bench.notices.lines]
    assert "let it read, or set INFLUXDB_V2_LAYOUT" in said[0]
    assert "the answer tells no layouts" in said[3]
    assert all("nothing is lost" in text for text in said[:4])


def test_a_layout_that_there_is_not_is_said() -> None:
    environment = {"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "o", "INFLUXDB_V2_LAYOUT": "3"}
    with pytest.raises(InfluxSettingsError, match="INFLUXDB_V2_LAYOUT is '3': it is 1 or 2"):
        InfluxSettings.from_environment(environment, url="http://h:8086")
