"""Every fault of the server and its streams does what it says, and stops when it is spent."""

import asyncio
import time

import aiohttp
import pytest

from tests.sim.conftest import EVENTS, JOBS, PODS, Api, Start, job

WATCH = f"{EVENTS}?watch=1&resourceVersion="


async def open_watch_sees_error(api: Api, fault: str, **parameters: object) -> dict[str, object]:
    async with api.watch(WATCH + await api.version()) as reader:
        await reader_is_open(api)
        assert (await api.fault(fault, **parameters))["watches"] == 1
        lines = await reader.rest()
    assert [line["type"] for line in lines] == ["ERROR"]
    return dict(lines[0]["object"])


async def reader_is_open(api: Api, count: int = 1) -> None:
    while (await api.get("/sim/state"))["watches"] < count:
        pass


async def test_dropped_watches_break_without_an_end(api: Api) -> None:
    async with api.watch(WATCH + await api.version()) as reader:
        await reader_is_open(api)
        await api.fault("drop-watches")
        with pytest.raises(aiohttp.ClientPayloadError):
            await reader.rest()


async def test_a_watch_is_cut_after_so_many_events_so_many_times(api: Api) -> None:
    version = await api.version()
    await api.fault("drop-watches", resource="events", every_events=3, times=2)
    await api.run_job("one")
    for _ in range(2):
        async with api.watch(WATCH + version) as reader:
            seen = [await reader.next() for _ in range(3)]
            with pytest.raises(aiohttp.ClientPayloadError):
                await reader.next()
        assert len(seen) == 3
    async with api.watch(WATCH + version) as reader:
        assert len([await reader.next() for _ in range(8)]) == 8


async def test_closed_watches_end_properly(api: Api) -> None:
    async with api.watch(WATCH + await api.version()) as reader:
        await reader_is_open(api)
        await api.fault("close-watches", resource="events")
        assert await reader.rest() == []


async def test_gone_as_a_status_as_a_line_and_in_open_watches(api: Api) -> None:
    version = await api.version()
    await api.fault("watch-gone", how="status")
    assert (await api.ask("GET", WATCH + version))[0] == 410
    await api.fault("watch-gone", how="line")
    assert [line["object"]["code"] for line in await api.watched(WATCH + version)] == [410]
    assert (await open_watch_sees_error(api, "watch-gone", how="now"))["code"] == 410


async def test_empty_watches_are_200_and_closed_at_once(api: Api) -> None:
    await api.run_job("one")
    await api.fault("empty-watches", times=3)
    for _ in range(3):
        assert await api.watched(WATCH + "1000") == []
    async with api.watch(WATCH + "1000") as reader:
        assert (await reader.next())["type"] == "ADDED"


async def test_a_half_open_watch_says_nothing_and_holds_nobody_up(api: Api) -> None:
    async with api.watch(WATCH + await api.version()) as reader:
        await reader_is_open(api)
        await api.fault("half-open", resource="events")
        done = await api.run_job("one")
        assert done["status"]["succeeded"] == 2
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.next(), 0.05)


@pytest.mark.parametrize("code", [429, 500, 504])
async def test_errors_inside_an_open_watch(api: Api, code: int) -> None:
    assert (await open_watch_sees_error(api, "stream-error", code=code, retry_after_seconds=2))["code"] == code


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503, 504])
async def test_requests_refused_and_then_served(api: Api, code: int) -> None:
    await api.fault("refuse", code=code, on="list", resource="events", times=2)
    for _ in range(2):
        assert (await api.ask("GET", EVENTS))[0] == code
    assert (await api.ask("GET", EVENTS))[0] == 200


async def test_access_reviews_know_what_is_forbidden(api: Api) -> None:
    await api.fault("refuse", code=403, on="watch", resource="events")
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answers = {}
    for verb in ("list", "watch"):
        body = {"spec": {"resourceAttributes": {"verb": verb, "resource": "events"}}}
        answers[verb] = (await api.post(path, body))["status"]["allowed"]
    assert answers == {"list": True, "watch": False}
    assert (await api.ask("GET", WATCH))[0] == 403


async def test_too_many_requests_says_how_long_to_wait(api: Api) -> None:
    await api.fault("refuse", code=429, on="watch", retry_after_seconds=7)
    async with api.session.get(api.server.url + WATCH) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "7"
        assert (await response.json())["details"]["retryAfterSeconds"] == 7


async def test_a_truncated_line_breaks_off_in_the_middle(api: Api) -> None:
    await api.run_job("one")
    await api.fault("truncate-line", resource="events")
    async with api.session.get(api.server.url + WATCH + "1000") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_garbage_line_stands_before_a_good_one(api: Api) -> None:
    await api.run_job("one")
    await api.fault("garbage-line", text="{]")
    async with api.session.get(api.server.url + WATCH + "1000") as response:
        assert await response.content.readline() == b"{]\n"
        assert (await response.content.readline()).startswith(b'{"type":"ADDED"')


async def test_page_two_expires(api: Api) -> None:
    await api.run_job("one")
    token = (await api.get(f"{EVENTS}?limit=2"))["metadata"]["continue"]
    await api.fault("expire-page")
    code, body = await api.ask("GET", f"{EVENTS}?limit=2&continue={token}")
    assert (code, bool(body["metadata"]["continue"])) == (410, True)


async def test_a_list_comes_doubled(api: Api) -> None:
    await api.run_job("one")
    once = (await api.get(EVENTS))["items"]
    await api.fault("duplicate-list")
    assert (await api.get(EVENTS))["items"] == once + once
    assert (await api.get(EVENTS))["items"] == once


async def test_another_cluster_takes_the_port(api: Api) -> None:
    await api.run_job("one")
    before = await api.get("/sim/state")
    async with api.watch(WATCH + before["resource_version"]) as reader:
        await reader_is_open(api)
        await api.fault("restart-as", cluster="sim-other")
        with pytest.raises(aiohttp.ClientPayloadError):
            await reader.rest()
    after = await api.get("/sim/state")
    assert after["identity"] != before["identity"]
    assert after["cluster"] == "sim-other"
    assert int(after["resource_version"]) < int(before["resource_version"])
    assert (await api.get(JOBS))["items"] == []
    assert (await api.run_job("two"))["status"]["succeeded"] == 2


async def test_the_server_is_away_and_comes_back(api: Api) -> None:
    async with api.watch(WATCH + await api.version()) as reader:
        await reader_is_open(api)
        await api.fault("away", seconds=0.2)
        with pytest.raises(aiohttp.ClientError):
            await reader.rest()
        with pytest.raises(aiohttp.ClientConnectionError):
            await api.get("/version")
    while True:
        try:
            assert await api.get("/version")
            break
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.02)


async def test_pending_faults_are_shown_and_can_be_forgotten(api: Api) -> None:
    await api.fault("refuse", code=500, times=3)
    await api.fault("pull-fails", kind="timeout")
    assert [fault["fault"] for fault in await api.get("/sim/faults")] == ["refuse", "pull-fails"]
    assert (await api.ask("DELETE", "/sim/faults"))[0] == 200
    assert await api.get("/sim/faults") == []
    assert (await api.ask("GET", EVENTS))[0] == 200


@pytest.mark.parametrize(
    "order", [{"fault": "no-such"}, {"fault": "away"}, {"fault": "pull-fails", "kind": "bad luck"}, {"x": 1}]
)
async def test_an_order_that_is_not_understood_is_refused(api: Api, order: object) -> None:
    code, body = await api.ask("POST", "/sim/faults", order)
    assert (code, body["reason"]) == (400, "BadRequest")


async def test_a_fixed_speed_runs_at_that_speed(start: Start) -> None:
    api = await start(speed=500.0)
    begun = time.monotonic()
    await api.post(JOBS, job("one"))
    async with api.watch(f"{PODS}?watch=1&resourceVersion=0") as reader:
        while (await reader.next())["object"]["status"]["phase"] != "Succeeded":
            pass
    state = await api.get("/sim/state")
    assert state["seconds"] > 10
    assert state["seconds"] == pytest.approx((time.monotonic() - begun) * 500, rel=0.5)


async def test_a_client_that_is_gone_before_its_watch_is_answered_leaves_no_word_in_the_log(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", api.server.port)
        writer.write(b"GET /api/v1/events?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        writer.transport.abort()
    await api.get("/sim/state")
    assert caplog.records == []
