"""Lines, seen events, waits, log lines and counters."""

import asyncio
import gc
import json
from random import Random

import pytest
from aiokafka.errors import KafkaTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from collector.log import Format, Log, say_failures_nobody_awaits
from collector.monitoring.status import OTHER_REASONS, REASONS_KEPT, Status
from collector.settings import BackoffSettings
from collector.sources import lines
from collector.sources.backoff import wait_seconds
from collector.sources.lines import LineSplitter, LineTooLongError
from collector.sources.seen import Seen
from tests.collector.harness import VirtualClock


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line)), st.lists(st.integers(1, 9), min_size=1))
def test_lines_are_the_same_however_the_bytes_are_cut(whole: list[bytes], sizes: list[int]) -> None:
    data = b"".join(line + b"\n" for line in whole) + b"rest"
    splitter = LineSplitter()
    found: list[bytes] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        turn += 1
        found += splitter.feed(data[:size])
        data = data[size:]
    assert found == [line for line in whole if line]
    assert splitter.rest() == b"rest"


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_BYTES", 10)
    splitter = LineSplitter()
    splitter.feed(b"1234567890")
    with pytest.raises(LineTooLongError):
        splitter.feed(b"1")


def test_an_event_is_news_once_at_each_count() -> None:
    seen = Seen(10)
    assert [seen.add("a", 1), seen.add("a", 1), seen.add("a", 2), seen.add("b", 2), seen.add("a", 2)] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_what_is_remembered_is_bounded_and_the_latest_is_kept() -> None:
    seen = Seen(100)
    for number in range(10_000):
        assert seen.add(str(number), 1)
        assert len(seen) <= 200
    assert not any(seen.add(str(number), 1) for number in range(9_900, 10_000))


def test_waits_double_from_800_ms_to_30_s_and_jitter_only_shortens_them() -> None:
    exact = BackoffSettings(jitter=0.0)
    waits = [round(wait_seconds(failures, exact, Random(1)), 3) for failures in range(1, 9)]
    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert wait_seconds(0, exact, Random(1)) == exact.reconnect_seconds
    assert wait_seconds(5_000, exact, Random(1)) == 30.0
    jittered = [wait_seconds(3, BackoffSettings(), Random(seed)) for seed in range(50)]
    assert all(1.6 <= seconds <= 3.2 for seconds in jittered)
    assert len(set(jittered)) == 50


@pytest.mark.parametrize(
    ("error", "lines"), [(KafkaTimeoutError("late"), 1), (ConnectionResetError(), 1), (KeyError("x"), 0)]
)
async def test_a_failure_that_nobody_awaits_is_one_line_and_a_bug_keeps_its_traceback(
    error: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    say_failures_nobody_awaits(Log(VirtualClock(), write=said.append))

    async def fail() -> None:
        raise error

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert len(said) == lines
    assert all(type(error).__name__ in line for line in said)
    assert len(caplog.records) == 1 - lines


def test_a_log_line_is_text_or_one_json_object() -> None:
    said: list[str] = []
    Log(VirtualClock(), Format.TEXT, said.append).warning("lost", version="7")
    Log(VirtualClock(), Format.JSON, said.append).warning("lost", version="7")
    assert said[0] == "2026-03-01T00:00:00Z WARNING: lost version=7"
    assert json.loads(said[1]) == {
        "at": "2026-03-01T00:00:00Z",
        "level": "warning",
        "message": "lost",
        "version": "7",
    }


def test_reasons_made_up_without_end_are_counted_together() -> None:
    status = Status()
    for number in range(REASONS_KEPT + 50):
        status.count_reason(f"Reason{number}")
    assert status.events == REASONS_KEPT + 50
    assert status.reasons[OTHER_REASONS] == 50
    assert len(status.reasons) == REASONS_KEPT + 1
