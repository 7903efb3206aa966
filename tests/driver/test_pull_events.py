"""The events of the running job's pulls, as a watch brings them."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driver.jobs.pull_events import PullEvents, watch_pull_events
from pullstudy.kube.errors import ApiError
from pullstudy.polling import every, polls
from pullstudy.pulls.event import Event
from tests.driver.kube_events import event_list, pod_event, pulled_event
from tests.driver.kube_objects import ORIGIN
from tests.driver.scripted_api import scripted

EVENTS = "/api/v1/namespaces/default/events"


def added(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ADDED", "object": event}


async def pods_of(events: PullEvents, count: int) -> list[str]:
    """By uid, as soon as there are so many."""
    async for _ in polls(every(0.01), 20):
        found = sorted(pull.pod_uid or "" for pull in events.pulls)
        if len(found) >= count:
            return found
    raise AssertionError(f"pulls of {found} alone")


async def test_each_pull_of_the_job_is_kept_once(tmp_path: Path) -> None:
    other = {**pulled_event(0), "involvedObject": {**pulled_event(0)["involvedObject"], "name": "pull-9-0-bcdfg"}}
    async with scripted(tmp_path) as (script, api):
        script.say(EVENTS, event_list())
        script.watch(EVENTS, added(other), added(pulled_event(0)), added(pulled_event(1)), stay=True)
        async with watch_pull_events(api, ORIGIN) as events:
            events.begin("pull-0")
            assert await pods_of(events, 2) == ["uid-0", "uid-1"]


async def test_a_watch_whose_version_is_gone_lists_again_and_doubles_nothing(tmp_path: Path) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old resource version"}}

    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    async with scripted(tmp_path, at_once) as (script, api):
        script.say(EVENTS, event_list())
        script.say(EVENTS, event_list())
        script.say(EVENTS, event_list(pulled_event(0), pulled_event(1)))
        script.watch(EVENTS, added(pulled_event(0)), gone)
        script.watch(EVENTS, gone)
        script.watch(EVENTS, stay=True)
        async with watch_pull_events(api, ORIGIN) as events:
            events.begin("pull-0")
            assert await pods_of(events, 2) == ["uid-0", "uid-1"]


async def test_a_watch_that_is_refused_ends_the_block(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        script.say(EVENTS, {"code": 403, "message": "events is forbidden"}, status=403)
        with pytest.raises(ApiError, match="403"):
            async with watch_pull_events(api, ORIGIN):
                await asyncio.Event().wait()


def test_what_is_told_of_an_earlier_job_is_forgotten_at_the_next() -> None:
    events = PullEvents(ORIGIN)
    events.begin("pull-0")
    events.take(msgspec.convert(pulled_event(0), Event))
    events.take(msgspec.convert(pod_event(0, "Started", "Started container pull"), Event))
    assert [pull.pod_uid for pull in events.pulls] == ["uid-0"]
    events.begin("pull-1")
    assert events.pulls == []
