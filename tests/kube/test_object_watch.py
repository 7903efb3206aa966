"""Objects watched for a caller that wants them as they are, through what an API server does to one."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from driver.clusters.cluster_api import SETTINGS, ClusterApi
from pullstudy.kube import lines
from pullstudy.kube.errors import ApiError, StatusError, TransportError
from pullstudy.kube.object_watch import Change, ObjectHandler
from pullstudy.kube.page import RawPage, read_page
from pullstudy.kube.watch_loop import WatchLoop
from pullstudy.kube.watch_protocol import Relisted, WatchProtocol
from pullstudy.pulls.pod import Pod
from tests.collector.polling import until
from tests.driver.kube_objects import pod_json
from tests.driver.scripted_api import Answer, ScriptedApi, scripted

PODS = "/api/v1/namespaces/default/pods"
EMPTY = {"metadata": {"resourceVersion": "1"}, "items": None}


class Time:
    """Sleeps that end at once, and are remembered."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        await asyncio.sleep(0)


class Watched:
    """What came of a watch that runs beside the test."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, bool]] = []
        self._changed = asyncio.Event()

    def take(self, change: Change[Pod]) -> None:
        self.changes.append((change.object.metadata.uid, change.deleted))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def watching(api: ClusterApi) -> AsyncIterator[Watched]:
    """Ends with the error of a watch that has given up."""
    watched = Watched()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(api.watch(PODS, ("labelSelector", "a=b"), Pod, watched.take))
        yield watched
        task.cancel()


async def first_pod(api: ClusterApi) -> Watched:
    async with watching(api) as watched:
        await watched.until(lambda: bool(watched.changes))
    return watched


def refuse(status: int, message: str = "no", **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"code": status, "message": message}, status=status, headers=headers)

    return answer


def refuse_watch(script: ScriptedApi, status: int, times: int = 1, **headers: str) -> None:
    for _ in range(times):
        script.answer(PODS, refuse(status, **headers), method="GET", watch=True)


def added(index: int, version: str = "5") -> dict[str, Any]:
    found = pod_json(index)
    found["metadata"]["resourceVersion"] = version
    return {"type": "ADDED", "object": found}


async def test_an_answer_of_429_is_waited_out_for_as_long_as_the_server_says(tmp_path: Path) -> None:
    time = Time()
    async with scripted(tmp_path, time.sleep) as (script, api):
        script.say(PODS, EMPTY)
        refuse_watch(script, 429, **{"Retry-After": "30"})
        script.watch(PODS, added(0), stay=True)
        await first_pod(api)
    assert time.slept == [30.0]


async def test_many_that_were_cut_at_once_do_not_come_back_together(tmp_path: Path) -> None:
    waits = []
    for seed in range(2):
        time = Time()
        async with scripted(tmp_path, time.sleep, random=Random(seed)) as (script, api):
            script.say(PODS, EMPTY)
            refuse_watch(script, 503, times=4)
            script.watch(PODS, added(0), stay=True)
            await first_pod(api)
        waits.append(time.slept)
    assert [len(each) for each in waits] == [4, 4]
    assert not set(waits[0]) & set(waits[1])
    assert all(0.125 * 2**n <= seconds <= 0.25 * 2**n for each in waits for n, seconds in enumerate(each))


async def test_a_line_without_end_is_given_up_and_watched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_BYTES", 10_000)
    time = Time()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):  # once it is given up
            while True:
                await response.write(b"x" * 4_096)
        return response

    async with scripted(tmp_path, time.sleep) as (script, api):
        script.say(PODS, EMPTY)
        script.answer(PODS, endless, watch=True)
        script.watch(PODS, added(0), stay=True)
        assert (await first_pod(api)).changes == [("uid-0", False)]
    assert len(time.slept) == 1


async def test_a_version_ahead_of_the_servers_is_listed_anew_and_never_waited_on(tmp_path: Path) -> None:
    """An etcd restored from a backup knows less than we do, and would answer such a watch with silence, for ever."""
    time = Time()
    async with scripted(tmp_path, time.sleep) as (script, api):
        script.say(PODS, {"metadata": {"resourceVersion": "900"}, "items": [pod_json(0)]})
        script.say(PODS, {"metadata": {"resourceVersion": "100"}, "items": [pod_json(1)]})
        script.watch(PODS, added(0, version="901"))
        script.answer(PODS, refuse(504, "Too large resource version: 901, current: 100"), method="PROVE")
        script.watch(PODS, stay=True)
        async with watching(api) as watched:
            await until(lambda: f"GET {PODS}@100" in script.asked)
        assert watched.changes == [("uid-0", False), ("uid-0", False), ("uid-0", True), ("uid-1", False)]
    assert script.proven == ["901"]
    assert [line for line in script.asked if "@" in line] == [f"GET {PODS}@900", f"GET {PODS}@100"]


@pytest.mark.parametrize("status", [0, 429, 500, 503])
async def test_an_api_server_that_is_away_is_borne_for_so_long_and_no_longer(tmp_path: Path, status: int) -> None:
    time = Time()
    async with scripted(tmp_path, time.sleep, patience_seconds=900.0) as (script, api):
        script.say(PODS, EMPTY)
        if status:
            refuse_watch(script, status)
        else:
            script.answer(PODS, _cut, watch=True)
        with pytest.raises(ExceptionGroup) as raised:
            await first_pod(api)
    (error,) = raised.value.exceptions
    assert isinstance(error, TransportError if status == 0 else StatusError)
    assert error.status == status
    assert 840 <= sum(time.slept) < 910, "what the test itself takes, at most a minute, counts too"


async def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_one_that_is_back_within_that_time_is_watched_on(tmp_path: Path) -> None:
    time = Time()

    async def away(request: web.Request) -> web.StreamResponse:
        if sum(time.slept) < 850:
            script.answer(PODS, away, watch=True)
            return await _cut(request)
        script.watch(PODS, added(0), stay=True)
        return await refuse(503)(request)

    async with scripted(tmp_path, time.sleep, patience_seconds=900.0) as (script, api):
        script.say(PODS, EMPTY)
        script.answer(PODS, away, watch=True)
        assert (await first_pod(api)).changes == [("uid-0", False)]


async def test_a_login_that_expired_is_renewed_once_and_a_refusal_is_an_error_at_once(tmp_path: Path) -> None:
    time = Time()
    async with scripted(tmp_path, time.sleep) as (script, api):
        script.say(PODS, EMPTY)
        refuse_watch(script, 401)
        script.watch(PODS, added(0), stay=True)
        assert (await first_pod(api)).changes == [("uid-0", False)]
    for status, tries in ((401, 2), (403, 1)):
        async with scripted(tmp_path, time.sleep) as (script, api):
            script.answer(PODS, refuse(status))
            with pytest.raises(ExceptionGroup) as raised:
                await first_pod(api)
            assert script.asked == [f"GET {PODS}"] * tries
        (error,) = raised.value.exceptions
        assert isinstance(error, ApiError)
        assert error.status == status


async def test_watches_ask_for_time_outs_of_their_own_between_5_and_10_minutes(tmp_path: Path) -> None:
    asked: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(int(request.query["timeoutSeconds"]))
        response = web.StreamResponse()
        await response.prepare(request)
        line = added(len(asked), str(len(asked)))
        await response.write(json.dumps(line).encode() + b"\n")
        return response

    async with scripted(tmp_path, Time().sleep) as (script, api):
        script.say(PODS, EMPTY)
        script.answer(PODS, answer, watch=True)
        async with watching(api) as watched:
            await watched.until(lambda: len(watched.changes) >= 5)
    assert all(300 <= seconds <= 600 for seconds in asked)
    assert len(set(asked)) > 1


class AwayAfter300Seconds:
    """An API server whose watch is cut after five minutes, and that takes no connection from then on."""

    def __init__(self, clock: "FakeClock") -> None:
        self.asked_at: list[float] = []
        self._clock = clock

    async def renew_login(self) -> None: ...

    async def list_page(self, *, limit: int | None, continue_token: str | None) -> RawPage:
        if self.asked_at:
            self._refuse()
        return read_page(b'{"metadata": {"resourceVersion": "5"}, "items": []}', "list pods")

    async def prove(self, version: str) -> None:
        self._refuse()

    async def watch(self, version: str, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        self._clock.seconds += 300.0
        self.asked_at.append(self._clock.seconds)
        yield b""
        raise TransportError("watch pods", "cut")

    def stream_list(self, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        return self.watch("", timeout_seconds)

    def _refuse(self) -> None:
        self.asked_at.append(self._clock.seconds)
        raise TransportError("list pods", "connection refused")


class FakeClock:
    """Sleeps that end at once."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        assert self.seconds < 10_000.0, "it never gives up"
        await asyncio.sleep(0)


async def test_a_server_that_refuses_connections_after_a_long_watch_is_asked_ever_less_often_and_given_up() -> None:
    clock = FakeClock()
    server = AwayAfter300Seconds(clock)
    handler = ObjectHandler(Pod, PODS, lambda change: None, 900.0)
    with pytest.raises(ApiError, match="connection refused"):
        await WatchLoop(server, WatchProtocol(), handler, SETTINGS, clock, Random(1)).run()
    waits = [later - earlier for earlier, later in pairwise(server.asked_at)]
    assert 1_200.0 <= clock.seconds < 1_230.0
    assert max(waits) > 5.0
    assert len(waits) < 250


@pytest.mark.parametrize(("deletions", "given"), [(True, [("a", False), ("a", True)]), (False, [("a", False)])])
async def test_what_is_gone_is_given_to_who_asks_for_it(deletions: bool, given: list[tuple[str, bool]]) -> None:
    watched = Watched()
    handler = ObjectHandler(Pod, PODS, watched.take, 1.0, deletions=deletions)
    handler.changed(handler.decode(json.dumps({"type": "ADDED", "object": pod_json(0, uid="a")}).encode()), b"")
    await handler.listed(Relisted("9", None, ""))
    assert watched.changes == given
