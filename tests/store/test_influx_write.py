"""Whatever InfluxDB answers, each record ends as a point or as refused, and a wrong setting discards nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from pullstudy.store.influx.settings import InfluxSettings, InfluxSettingsError
from pullstudy.store.influx.store import InfluxStore, RefusedError
from pullstudy.timing import Timing
from tests.notices import KeptNotices
from tests.store.influx_server import FakeInflux, Trouble, fake_influx
from tests.store.records import gap, milestone, pull, reject

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualTime:
    """Sleeps end at once and move the clock; what happens in a sleep is up to the test."""

    def __init__(self) -> None:
        self.now_seconds = 0.0
        self.sleeps: list[float] = []
        self.on_sleep: Any = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_seconds += seconds
        self.on_sleep()

    def timing(self) -> Timing:
        return Timing(sleep=self.sleep, monotonic=lambda: self.now_seconds, now=lambda: NOW)


class Bench:
    """A store, the server behind it, and time."""

    def __init__(self, server: FakeInflux, **settings: Any) -> None:
        plain = {"url": server.url, "organisation": "o", "token": "secret", "layout": 2, "backoff": Backoff(jitter=0.0)}
        self.server = server
        self.notices = KeptNotices()
        self.time = VirtualTime()
        self.store = InfluxStore(InfluxSettings(**{**plain, **settings}), self.notices, Random(1), self.time.timing())


@pytest.fixture
async def server() -> AsyncIterator[FakeInflux]:
    async with fake_influx() as fake:
        yield fake


@pytest.fixture
async def bench(server: FakeInflux) -> AsyncIterator[Bench]:
    made = Bench(server)
    yield made
    await made.store.close()


def pulls(number: int) -> Batch:
    return Batch(pulls=tuple(pull(f"u{each:04}", node="n") for each in range(number)))


async def test_a_batch_of_every_kind_is_written_in_one_request(bench: Bench) -> None:
    batch = Batch(pulls=(pull(),), milestones=(milestone(),), rejects=(reject(),), gaps=(gap(),))
    assert await bench.store.write(batch) == 4
    assert bench.server.requests == [4]
    assert {key[0] for key in bench.server.points} == {"pull", "milestone", "reject", "gap"}


async def test_writing_again_changes_nothing(bench: Bench) -> None:
    await bench.store.write(pulls(20))
    before = dict(bench.server.points)
    await bench.store.write(pulls(20))
    assert bench.server.points == before


async def test_a_reply_lost_after_the_write_took_effect_doubles_nothing(bench: Bench) -> None:
    bench.server.troubles.append(Trouble(lose_reply=True))
    assert (await bench.store.deliver(pulls(20))).written == 20
    assert len(bench.server.points) == 20
    assert bench.server.requests == [20, 20]


async def test_big_batches_go_in_pieces_bounded_by_points_and_by_bytes(server: FakeInflux) -> None:
    by_points = Bench(server, batch_points=7)
    await by_points.store.write(pulls(20))
    assert server.requests == [7, 7, 6]
    by_bytes = Bench(server, batch_bytes=300)
    await by_bytes.store.write(pulls(20))
    assert len(server.points) == 20
    assert len(server.requests) > 6
    await by_points.store.close()
    await by_bytes.store.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_server_in_trouble_is_asked_again_until_it_is_well(bench: Bench, status: int) -> None:
    bench.server.troubles.extend([Trouble(status)] * 12)
    assert (await bench.store.deliver(pulls(3))).written == 3
    assert bench.time.sleeps == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0, 30.0]
    assert bench.notices.said("error") == []
    assert bench.notices.said("info")[-1].endswith("takes points again")
    assert bench.store.counters.trouble is None


@pytest.mark.parametrize(
    ("wish", "waited"),
    [("7", 7.0), ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0), ("soon", 0.2), ("²", 0.2), ("9999999", 600.0)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(bench: Bench, status: int, wish: str, waited: float) -> None:
    bench.server.troubles.append(Trouble(status, {"Retry-After": wish}))
    await bench.store.write(pulls(1))
    assert bench.time.sleeps == [waited]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
async def test_a_wrong_setting_raises_an_alarm_and_is_repeated_until_it_is_right(bench: Bench, status: int) -> None:
    bench.server.troubles.extend([Trouble(status)] * 200)
    assert (await bench.store.deliver(pulls(3))).written == 3
    assert len(bench.server.points) == 3
    # Reminded of once a minute, not 200 times.
    errors = bench.notices.said("error")
    assert 60 < len(errors) < 110
    assert "nothing is lost" in errors[0]


async def test_while_a_setting_is_wrong_the_counters_say_so(bench: Bench) -> None:
    seen = []
    bench.time.on_sleep = lambda: seen.append((bench.store.counters.trouble, bench.store.counters.alarm))
    bench.server.troubles.append(Trouble(401, body='{"code":"unauthorized","message":"unauthorized access"}'))
    await bench.store.write(pulls(1))
    assert seen == [("401 unauthorized access: the token is not accepted: check INFLUXDB_V2_TOKEN", True)]
    assert bench.store.counters.statuses == {401: 1, 204: 1}


async def test_a_proxys_own_400_is_no_malformed_line(bench: Bench) -> None:
    bench.server.troubles.append(Trouble(400, body="<html>Bad Request</html>"))
    assert (await bench.store.deliver(pulls(3))).refused == ()
    assert bench.server.requests == [3, 3]
    assert bench.notices.said("error")


async def test_a_cut_connection_is_opened_again(bench: Bench) -> None:
    bench.server.troubles.extend([Trouble(cut=True)] * 3)
    assert (await bench.store.deliver(pulls(3))).written == 3


async def test_one_malformed_line_is_found_and_the_rest_is_written(bench: Bench) -> None:
    bench.server.malformed = lambda line: line.fields["event_uid"] == "u0077"
    delivered = await bench.store.deliver(pulls(100))
    assert delivered.written == 99
    assert [letter.record for letter in delivered.refused] == [pull("u0077", node="n")]
    assert "unable to parse" in delivered.refused[0].reason
    assert len(bench.server.points) == 99
    assert len(bench.server.requests) <= 2 * 7 + 1  # log2(100) divisions


async def test_points_that_a_422_refuses_are_found_one_by_one(bench: Bench) -> None:
    refused = {"u0000", "u0050", "u0051", "u0099"}
    bench.server.conflicting = lambda line: line.fields["event_uid"] in refused
    delivered = await bench.store.deliver(pulls(100))
    assert {letter.record.event_uid for letter in delivered.refused} == refused  # type: ignore[attr-defined]
    assert delivered.written == 96
    assert len(bench.server.points) == 96


async def test_a_422_about_all_of_a_batch_is_believed_at_once(bench: Bench) -> None:
    bench.server.conflicting = lambda line: True
    delivered = await bench.store.deliver(pulls(100))
    assert len(delivered.refused) == 100
    assert bench.server.requests == [100]


async def test_a_batch_that_is_too_large_for_the_server_is_divided_until_it_fits(bench: Bench) -> None:
    bench.server.most_bytes = 400
    assert (await bench.store.deliver(pulls(40))).refused == ()
    assert len(bench.server.points) == 40


async def test_a_point_that_is_too_large_by_itself_is_refused(bench: Bench) -> None:
    bench.server.most_bytes = 400
    batch = Batch(pulls=(pull("a"), pull("b", error="x" * 500), pull("c")))
    delivered = await bench.store.deliver(batch)
    assert [letter.record for letter in delivered.refused] == [batch.pulls[1]]
    assert bench.server.uids() == ["a", "c"]


async def test_trouble_in_the_middle_of_dividing_is_waited_out(bench: Bench) -> None:
    bench.server.malformed = lambda line: line.fields["event_uid"] == "u0003"
    first = bench.server.malformed

    def trouble_once(line: Any) -> bool:
        bench.server.malformed = first
        bench.server.troubles.extend([Trouble(503), Trouble(401), Trouble(cut=True)])
        return True

    bench.server.malformed = trouble_once
    delivered = await bench.store.deliver(pulls(10))
    assert [letter.record.event_uid for letter in delivered.refused] == ["u0003"]  # type: ignore[attr-defined]
    assert len(bench.server.points) == 9


async def test_a_record_that_no_point_can_hold_is_refused_and_asks_nobody(bench: Bench) -> None:
    batch = Batch(pulls=(pull("a", image_bytes=2**70), pull("b")))
    delivered = await bench.store.deliver(batch)
    assert [(letter.record, letter.reason) for letter in delivered.refused] == [
        (batch.pulls[0], f"the number {2**70} does not fit into 64 bits")
    ]
    assert bench.server.uids() == ["b"]


async def test_write_raises_what_was_refused_after_the_rest_is_written(bench: Bench) -> None:
    bench.server.conflicting = lambda line: line.fields["event_uid"] == "u0001"
    with pytest.raises(RefusedError, match="refused a record: 422") as raised:
        await bench.store.write(pulls(5))
    assert len(raised.value.refused) == 1
    assert len(bench.server.points) == 4


async def test_a_rotated_token_is_used_at_once(server: FakeInflux, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    bench = Bench(server, token=None, token_file=file)
    server.troubles.append(Trouble(401))
    bench.time.on_sleep = lambda: file.write_text("second\n")
    await bench.store.write(pulls(1))
    assert server.tokens == ["Token first", "Token second"]
    await bench.store.close()


async def test_a_token_file_that_is_gone_for_a_moment_loses_nothing(server: FakeInflux, tmp_path: Path) -> None:
    bench = Bench(server, token=None, token_file=tmp_path / "token")
    bench.time.on_sleep = lambda: (tmp_path / "token").write_text("back")
    assert await bench.store.write(pulls(1)) == 1
    assert "token file" in bench.notices.said("warning")[0]
    await bench.store.close()


def test_settings_are_read_as_influxdb_client_reads_them() -> None:
    settings = InfluxSettings.from_environment(
        {"INFLUXDB_V2_URL": "http://h:8086/", "INFLUXDB_V2_ORG": "o", "INFLUXDB_V2_TOKEN": "t"}
    )
    assert (settings.url, settings.organisation, settings.bucket, settings.current_token()) == (
        "http://h:8086",
        "o",
        "pulls",
        "t",
    )


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "no token"),
        ({"INFLUXDB_V2_TOKEN": "t"}, "no organisation"),
        ({"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "o"}, "no address"),
        ({"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "o", "INFLUXDB_V2_URL": "h:8086"}, "is no address"),
        ({"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "o", "INFLUXDB_V2_URL": "http://u:p@h"}, "no user or password"),
    ],
)
def test_a_missing_setting_is_said_in_one_line_that_names_the_variable(
    environment: dict[str, str], problem: str
) -> None:
    with pytest.raises(InfluxSettingsError, match=problem) as raised:
        InfluxSettings.from_environment(environment)
    assert "\n" not in str(raised.value)


def test_the_token_is_not_in_what_is_printed_of_the_settings() -> None:
    assert "hidden-word" not in repr(InfluxSettings(url="http://h", organisation="o", token="hidden-word"))
