"""Recent events, log lines and counters."""

import asyncio
import gc
import json

import pytest
from aiokafka.errors import KafkaTimeoutError

from collector.log import Format, Log, say_failures_nobody_awaits
from collector.monitoring.status import OTHER_REASONS, REASONS_KEPT, CollectorStatus
from collector.sources.recent_events import RecentEvents
from tests.collector.harness import VirtualClock


def test_an_event_is_news_once_at_each_count() -> None:
    seen = RecentEvents(10)
    assert [seen.add("a", 1), seen.add("a", 1), seen.add("a", 2), seen.add("b", 2), seen.add("a", 2)] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_what_is_remembered_is_bounded_and_the_latest_is_kept() -> None:
    seen = RecentEvents(100)
    for number in range(10_000):
        assert seen.add(str(number), 1)
        assert len(seen) <= 200
    assert not any(seen.add(str(number), 1) for number in range(9_900, 10_000))


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
    status = CollectorStatus()
    for number in range(REASONS_KEPT + 50):
        status.count_reason(f"Reason{number}")
    assert status.events == REASONS_KEPT + 50
    assert status.reasons[OTHER_REASONS] == 50
    assert len(status.reasons) == REASONS_KEPT + 1
