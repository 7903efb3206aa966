"""Whatever a server answers to a write or a query is understood, or said in one line and backed off from."""

import asyncio
import gzip
import json
import logging
import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar, cast

import pytest

from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Batch
from pullstudy.store.influx import point_layout
from pullstudy.store.influx.answers import Action, judge, judge_query
from pullstudy.store.influx.blocking_query import ask
from pullstudy.store.influx.check import why_not_usable
from pullstudy.store.influx.connection import Answer, InfluxConnection
from pullstudy.store.influx.flux import ROW_CHARACTERS, Row, read_rows
from pullstudy.store.influx.line_protocol import PointFormat
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.influx.write import InfluxWriter
from pullstudy.store.protocol import StoreError
from tests.hostile.conftest import Attack
from tests.hostile.influx_servers import answer, answering
from tests.notices import KeptNotices
from tests.store.records import pull
from tests.store.test_influx_write import VirtualTime

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = 5_000
MIB = 1 << 20
DIGITS = "9" * 5_000
WISHES = {
    "400 digits": "9" * 400,
    "5,000 digits": DIGITS,
    "negative": "-5",
    "1e999": "1e999",
    "NaN": "nan",
    "a year of 24 digits": f"Thu, 01 Jan {'9' * 24} 00:00:00 GMT",
    "a year of 5,000 digits": f"Thu, 01 Jan {DIGITS} 00:00:00 GMT",
    "the last year, far west": "Fri, 31 Dec 9999 23:59:59 -2359",
    "day 99": "Thu, 99 Jan 2026 00:00:00 GMT",
    "a zone of 24 digits": f"Thu, 01 Jan 2026 00:00:00 +{'9' * 24}",
    "nothing": "",
    "no UTF-8": "\udcff\udcfe",
    "a terminal's escape": "\x1b[2J",
}
BODIES = {
    "nesting": b'{"x":' + b"[" * 100_000,
    "nesting of objects": b'{"message":' + b'{"a":' * 100_000,
    "1e999": b'{"code":"invalid","message":"m","line":1e999}',
    "5,000 digits": b'{"code":"invalid","line":' + DIGITS.encode() + b"}",
    "bad UTF-8": b'{"code":"invalid","message":"\xff\xfe"}',
    "a lone surrogate": b'{"code":"invalid","message":"\\ud800"}',
    "null": b"null",
    "a code that is none": b'{"code":{},"message":[]}',
    "escapes and line ends": b'{"code":"invalid","message":"a\\u001b[2J\\nb\\u2028c\\u202ed"}',
    "16 MiB of text": b"x" * (16 * MIB),
}


def said_well(reason: str) -> bool:
    return reason.isprintable() and len(reason) < 1_000 and reason != ""


@pytest.mark.parametrize("name", WISHES)
@pytest.mark.parametrize("status", [429, 503])
def test_any_wish_to_wait_is_a_bounded_one(name: str, status: int, attack: Attack) -> None:
    attack(f"{status} with Retry-After: {name}", "bounded, or not honoured")
    verdict = judge(status, {"Retry-After": WISHES[name]}, b"", NOW)
    assert verdict.action is Action.REPEAT
    assert verdict.wait_seconds is None or verdict.wait_seconds >= 0


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 413, 422, 500])
def test_any_text_of_an_answer_is_one_line(name: str, status: int) -> None:
    for verdict in (judge(status, {}, BODIES[name], NOW), judge_query(status, {}, BODIES[name], NOW)):
        assert verdict.action is Action.DONE or said_well(verdict.reason)


@pytest.mark.parametrize("dropped", ["9" * 400, DIGITS, "-1", "1e999", "nan", "٣", "4", "0", ""])
@pytest.mark.attack("422 with an absurd dropped=", "a count of other points is not believed")
async def test_a_count_of_dropped_points_that_is_absurd_refuses_nothing(dropped: str) -> None:
    body = json.dumps({"code": "unprocessable entity", "message": f"partial write dropped={dropped}"}).encode()
    answers = [answer(422, body)] + [answer(204)] * 10
    async with answering(lambda: answers.pop(0)) as url:
        store = InfluxStore(settings_for(url), KeptNotices(), Random(1), VirtualTime().timing())
        delivered = await store.deliver(Batch(pulls=tuple(pull(f"u{each}") for each in range(3))))
        await store.close()
    assert (delivered.written, delivered.refused) == (3, ())


def settings_for(url: str, **more: object) -> InfluxSettings:
    plain = {"url": url, "organisation": "o", "token": "t", "layout": 2, "backoff": Backoff(jitter=0.0)}
    return InfluxSettings(**{**plain, "request_seconds": 20.0, "read_seconds": 20.0, **more})  # type: ignore[arg-type]


class Mutations:
    """Answers as InfluxDB gives them, and what becomes of them by chance; each is one of 5,000, by its seed."""

    def __init__(self, whole: list[bytes]) -> None:
        self._random = Random(13)
        self._whole = whole

    def __call__(self) -> bytes:
        random = self._random
        data = bytearray(random.choice(self._whole))
        for _ in range(random.choice((0, 1, 1, 2, 5, 20))):
            at = random.randrange(len(data) + 1)
            match random.randrange(6):
                case 0:
                    data[at : at + 1] = bytes([random.randrange(256)])
                case 1:
                    del data[at : at + random.randrange(1, 40)]
                case 2:
                    data[at:at] = data[at : at + random.randrange(1, 200)]
                case 3:
                    data[at:at] = random.choice((b"\r\n", b"\n", b"\0", b"\xff", b'"', b"9" * 400, b"[" * 3000, b"-"))
                case 4:
                    del data[at:]
                case 5:
                    data[at:at] = bytes(random.randrange(256) for _ in range(random.randrange(1, 30)))
        return bytes(data)


def write_answers() -> list[bytes]:
    problems = [
        (400, {"code": "invalid", "message": "unable to parse 'x': missing tag value"}),
        (401, {"code": "unauthorized", "message": "unauthorized access"}),
        (404, {"code": "not found", "message": 'bucket "pulls" not found'}),
        (413, {"code": "request too large", "message": "points batch is too large"}),
        (422, {"code": "unprocessable entity", "message": "partial write: field type conflict dropped=2"}),
        (503, {"code": "unavailable", "message": "later"}),
    ]
    told = [answer(status, json.dumps(body).encode(), Content_Type="application/json") for status, body in problems]
    wishes = [answer(503, b"", Retry_After=wish, Date=wish) for wish in WISHES.values()]
    odd = [answer(500, body) for body in BODIES.values() if len(body) < MIB]
    moved = [answer(302, b"", Location=place) for place in ("http://[::1", "//", "http://h:0/", "file:///etc/passwd")]
    packed = answer(500, gzip.compress(b"x" * MIB), Content_Encoding="gzip")
    return [answer(204, X_Influxdb_Version="v2.7.12"), *told, *wishes, *odd, *moved, packed]


@pytest.mark.timeout(600)
async def test_the_write_loop_outlives_5000_mutated_answers(attack: Attack, caplog: pytest.LogCaptureFixture) -> None:
    attack("5,000 mutated answers to writes", "each record ends as written or refused; no traceback; bounded memory")
    mutated, given = Mutations(write_answers()), 0

    def give() -> bytes:
        nonlocal given
        given += 1
        return mutated() if given % 8 or given < ANSWERS else answer(204)

    async with answering(give) as url:
        notices, time = KeptNotices(), VirtualTime()
        store = InfluxStore(settings_for(url, request_seconds=5.0), notices, Random(1), time.timing())
        tracemalloc.start()
        while given < ANSWERS:
            delivered = await store.deliver(Batch(pulls=tuple(pull(f"u{each}") for each in range(4))))
            assert delivered.written + len(delivered.refused) == 4
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await store.close()
    assert peak < 64 * MIB
    assert [line for _, line in notices.lines if not said_well(line)] == []
    assert all(0 < seconds <= 600 for seconds in time.sleeps)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def query_answers() -> list[bytes]:
    table = "_value,_time,cluster,at\r\n" + "".join(f"{n},2026-01-01T00:00:00Z,c,{n}\r\n" for n in range(40))
    two = f"{table}\r\nerror,reference\r\nquery terminated: out of memory,897\r\n"
    long = 'a\r\n"' + "x" * 200_000 + '"\r\n'
    csv = [answer(200, text.encode(), Content_Type="text/csv; charset=utf-8") for text in (table, two, long, "", "\0")]
    return [*csv, *csv, *write_answers()]


def read_or_said(rows: Iterator[Row]) -> bool:
    try:
        for row in rows:
            row.whole_number("_value")
    except StoreError as error:
        return str(error).isprintable()
    return True


@pytest.mark.timeout(600)
async def test_judging_and_reading_outlive_5000_mutated_answers(attack: Attack) -> None:
    attack("5,000 mutated results of queries", "rows, or one line")
    mutated = Mutations(query_answers())
    for _ in range(ANSWERS):
        head, _, body = mutated().partition(b"\r\n\r\n")
        for status in (200, 204, 400, 422, 503):
            headers = {"Retry-After": head.decode(errors="replace"), "Content-Type": "text/html"}
            assert judge(status, headers, body, NOW).action in Action
            assert judge_query(status, headers, body, NOW).action in Action
        assert read_or_said(read_rows(body.decode("utf-8", "surrogateescape").splitlines(keepends=True)))


@pytest.mark.timeout(600)
@pytest.mark.attack("300 mutated results over the wire", "rows, or one line")
async def test_a_reader_outlives_mutated_results_on_the_wire() -> None:
    async with answering(Mutations(query_answers())) as url:

        def read() -> None:
            for _ in range(300):
                assert read_or_said(ask(settings_for(url, read_seconds=5.0), "buckets()"))

        await asyncio.to_thread(read)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.attack("an endless or packed answer", "64 KiB of it are read")
async def test_an_answer_of_any_length_takes_little_memory(packed: bool) -> None:
    text = gzip.compress(b"x" * (256 * MIB), 1) if packed else b"x" * (64 * MIB)
    more = {"Content_Encoding": "gzip"} if packed else {}
    whole = answer(500, text, **more)
    async with answering(lambda: whole) as url:
        tracemalloc.start()
        reason = await why_not_usable(settings_for(url), NOW)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert reason is not None
    assert said_well(reason)
    assert peak < 16 * MIB


@pytest.mark.parametrize("row", [b'"' + b"x\n" * ROW_CHARACTERS, b'"x\n",' * ROW_CHARACTERS, b"x" * 2 * ROW_CHARACTERS])
@pytest.mark.attack("a row without end", "bounded")
async def test_a_row_without_end_is_not_read(row: bytes) -> None:
    body = b"a\r\n" + row
    async with answering(lambda: answer(200, body, Content_Type="text/csv")) as url:
        with pytest.raises(StoreError, match=r"a row of over|field larger"):
            await asyncio.to_thread(lambda: list(ask(settings_for(url), "buckets()")))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.attack("a redirect to another server", "never followed, with a token or without")
async def test_a_redirect_is_never_followed(status: int) -> None:
    asked: list[str] = []

    def other() -> bytes:
        asked.append("asked")
        return answer(204)

    async with answering(other) as elsewhere, answering(lambda: answer(status, b"", Location=elsewhere)) as url:
        assert "cannot be read: 30" in str(await why_not_usable(settings_for(url), NOW))
        with pytest.raises(StoreError, match="30"):
            await asyncio.to_thread(lambda: list(ask(settings_for(url), "buckets()")))
        time, notices = VirtualTime(), KeptNotices()
        store = InfluxStore(settings_for(url), notices, Random(1), time.timing())

        class EnoughError(Exception):
            pass

        def enough() -> None:
            raise EnoughError

        time.on_sleep = enough
        with pytest.raises(EnoughError):
            await store.write(Batch(pulls=(pull("a"),)))
        await store.close()
    assert asked == []


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff\xfe\x00", b"two\nlines", b"a\x1b[2J", b"x" * 1_000_000, "tökén".encode()]
)
@pytest.mark.attack("a token file rewritten with rubbish", "said without its content, asked again")
async def test_rubbish_in_a_token_file_ends_nothing(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    async with answering(lambda: answer(204)) as url:
        notices, time = KeptNotices(), VirtualTime()
        store = InfluxStore(settings_for(url, token=None, token_file=file), notices, Random(1), time.timing())
        with pytest.raises(StoreError, match="token file") as raised:
            await store.identities("c", "r")
        time.on_sleep = lambda: file.write_text("right\n")
        assert await store.write(Batch(pulls=(pull("a"),))) == 1
        await store.close()
    assert all(said_well(text) for text in (str(raised.value), *notices.said("warning")))
    assert "lines" not in notices.said("warning")[0]


class OddConnection(InfluxConnection):
    """Its first answer is one that nobody thought of."""

    answers: ClassVar[list[Answer]] = [Answer(503, {"Retry-After": cast(str, 7)}, b""), Answer(204, {}, b"")]

    async def write(self, lines: bytes) -> Answer:
        return self.answers.pop(0)


@pytest.mark.attack("an answer that nobody thought of", "said as a bug with its place, asked again")
async def test_a_bug_met_in_an_answer_is_said_and_the_batch_is_written_again() -> None:
    settings, notices, time = settings_for("http://h"), KeptNotices(), VirtualTime()
    formats = partial(PointFormat, [point_layout.PULL])
    writer = InfluxWriter(settings, OddConnection(settings), notices, Random(1), time.timing(), formats)
    assert (await writer.deliver([pull("a")])).written == 1
    (said,) = notices.said("error")
    assert re.search(r"a bug was met: AttributeError at retry_after.py:\d+; please report it; nothing is lost", said)
