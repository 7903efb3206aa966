"""A real InfluxDB that refuses, forgets, is killed: every record ends as one point or as refused."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.line_protocol import encode_point
from pullstudy.store.influx.read import InfluxReader
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from tests.stack.influx import Influx
from tests.stack.wait import until as wait_until
from tests.store.opened_influx import opened
from tests.store.records import AT, pull

pytestmark = pytest.mark.real
SOON = Backoff(first_seconds=0.05, most_seconds=0.2)


def settings_for(influx: Influx, bucket: str, **more: Any) -> InfluxSettings:
    plain = {"url": influx.url, "organisation": influx.organisation, "token": influx.token, "bucket": bucket}
    return InfluxSettings(**{**plain, "backoff": SOON, **more})


async def read(store: InfluxStore) -> list[PullRecord]:
    return await asyncio.to_thread(lambda: list(store.pulls()))


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await wait_until(holds, 60, "the store to get there")


def pulls(number: int, **more: Any) -> Batch:
    return Batch(
        pulls=tuple(pull(f"u{each:04}", node=f"n{each % 7}", **{"finished_at": AT, **more}) for each in range(number))
    )


async def test_one_conflicting_type_is_refused_and_the_rest_lands(influx: Influx, bucket: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Token {influx.token}"}) as session:
        line = f'pull,cluster=other waiting_seconds="long" {int(AT.timestamp())}000000000'
        url = f"{influx.url}/api/v2/write?org={influx.organisation}&bucket={bucket}"
        async with session.post(url, data=line) as response:
            assert response.status == 204
    batch = pulls(300)
    odd = pull("odd", node="n1", finished_at=AT, waiting_seconds=1.5)
    async with opened(settings_for(influx, bucket)) as store:
        delivered = await store.deliver(Batch(pulls=(*batch.pulls[:123], odd, *batch.pulls[123:])))
    assert [letter.record for letter in delivered.refused] == [odd]
    assert "field type conflict" in delivered.refused[0].reason
    flux = (
        f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._field == "count") |> group() |> count()'
    )
    assert [row["_value"] for row in await influx.query(flux)] == ["300"]


async def test_points_older_than_the_retention_are_refused_and_the_rest_lands(influx: Influx) -> None:
    await influx.new_bucket("short-lived", retention_seconds=3_600)
    now = datetime.now(UTC)
    old = tuple(pull(f"old{number}", finished_at=now - timedelta(days=2)) for number in range(5))
    async with opened(settings_for(influx, "short-lived")) as store:
        delivered = await store.deliver(Batch(pulls=(*pulls(50, finished_at=now).pulls, *old)))
        assert [letter.record for letter in delivered.refused] == list(old)
        assert "retention" in delivered.refused[0].reason
        assert len(await read(store)) == 50


async def test_a_deleted_bucket_stops_writing_and_loses_nothing(influx: Influx, bucket: str) -> None:
    async with opened(settings_for(influx, bucket)) as store:
        await store.write(pulls(1))
        await influx.delete_bucket(bucket)
        writing = asyncio.create_task(store.deliver(pulls(100)))
        await until(lambda: store.counters.repeats >= 3)
        assert store.counters.alarm
        assert "bucket" in (store.counters.trouble or "")
        await influx.new_bucket(bucket)
        assert (await writing).written == 100
        assert not store.counters.alarm
        assert len(await read(store)) == 100


async def test_a_revoked_token_stops_writing_until_another_is_in_its_file(
    influx: Influx, bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("revoked")
    async with opened(settings_for(influx, bucket, token=None, token_file=file)) as store:
        writing = asyncio.create_task(store.deliver(pulls(10)))
        await until(lambda: store.counters.repeats >= 2)
        assert "401" in (store.counters.trouble or "")
        file.write_text(influx.token)
        assert (await writing).written == 10


async def test_a_server_killed_in_the_middle_doubles_and_loses_nothing(own_influx: Influx) -> None:
    async with opened(settings_for(own_influx, own_influx.bucket, batch_points=50)) as store:
        writing = asyncio.create_task(store.deliver(pulls(2_000)))
        await until(lambda: store.counters.requests >= 10)
        own_influx.kill()
        await until(lambda: store.counters.trouble is not None or writing.done())
        assert not writing.done()
        await own_influx.start()
        assert (await writing).written == 2_000
        assert [record.event_uid for record in await read(store)] == [f"u{each:04}" for each in range(2_000)]


async def test_the_reader_says_what_is_wrong_in_one_line(influx: Influx) -> None:
    async with opened(settings_for(influx, "no-such-bucket")) as store:
        with pytest.raises(Exception, match=r"404.*no-such-bucket") as raised:
            await read(store)
        assert "\n" not in str(raised.value)


class TwoHalves:
    """A point whose one field comes after the others."""

    def __init__(self, influx: Influx, bucket: str, record: PullRecord, late: str) -> None:
        self._influx = influx
        self._url = f"{influx.url}/api/v2/write?org={influx.organisation}&bucket={bucket}"
        name, tags, *cells = encode_point(record).replace(",", " ", 1).split(" ")
        self._series, self._at = f"{name},{tags}", cells[1]
        self._halves = [
            ",".join(cell for cell in cells[0].split(",") if cell.startswith(f"{late}=") is second)
            for second in (False, True)
        ]

    async def put_next(self) -> None:
        line = f"{self._series} {self._halves.pop(0)} {self._at}"
        headers = {"Authorization": f"Token {self._influx.token}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(self._url, data=line) as response:
            assert response.status == 204


async def test_a_point_that_is_only_half_there_yet_is_none_and_then_one(influx: Influx, bucket: str) -> None:
    record = pull("late", run="r", job="j", node="n", finished_at=AT)
    point = TwoHalves(influx, bucket, record, "count")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            asyncio.run_coroutine_threadsafe(point.put_next(), loop).result()

    loop = asyncio.get_running_loop()
    await point.put_next()
    async with opened(settings_for(influx, bucket)) as store:
        assert await store.job_pulls("c", "r", "j") == []
        assert await store.identities("c", "r") == set()
        reader = InfluxReader(settings_for(influx, bucket), sleep)
        assert await asyncio.to_thread(lambda: list(reader.pulls())) == [record]
        assert len(slept) == 2
        assert await store.job_pulls("c", "r", "j") == [record]
        assert await store.identities("c", "r") == {("c", "late", 1)}


async def test_a_point_whose_identity_is_not_there_yet_spoils_no_reading(influx: Influx, bucket: str) -> None:
    record = pull("late", run="r", job="j", node="n", finished_at=AT)
    point = TwoHalves(influx, bucket, record, "event_uid")
    reader = InfluxReader(settings_for(influx, bucket))
    for expected in ([], [record]):
        await point.put_next()
        assert await asyncio.to_thread(lambda: list(reader.pulls())) == expected
