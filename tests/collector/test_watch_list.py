"""Lists inside watches: taken where the server has them, given up where it has not, and never half a list."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.collector.api_server import Answer, ApiServer, hang, in_stream, refuse, serving, stream
from tests.collector.harness import SETTINGS, collecting, put_pulls, stored_counts, stored_gaps

PULL = 2  # records of one Pulled event: the pull and its milestone


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        server.streams = True
        yield server


async def test_what_is_there_comes_inside_the_watch_that_goes_on(server: ApiServer, tmp_path: Path) -> None:
    expected = await put_pulls(server, 0, 1_500)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        expected |= await put_pulls(server, 1_500, 5)
        await running.until_stored(1_505 * PULL)
    assert stored_counts(tmp_path) == expected
    assert [kind for kind, _ in server.requests] == ["identity", "stream"], "one request for list and watch"
    assert (running.status.lists, stored_gaps(tmp_path)) == (1, [])
    (said,) = running.told("watching events of sim-t")
    assert "listed=1500" in said, "said once the list is complete"


async def test_restarted_it_goes_on_at_the_version_of_the_lists_end(server: ApiServer, tmp_path: Path) -> None:
    expected = await put_pulls(server, 0, 3)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(3 * PULL)
    expected |= await put_pulls(server, 3, 2)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.status.lists == 0
    assert len(server.asked("stream")) == 1


async def test_a_list_cut_in_the_middle_moves_no_version_and_is_made_anew(server: ApiServer, tmp_path: Path) -> None:
    """Its events come in no order: the last one's version would skip those that were not sent."""
    expected = await put_pulls(server, 0, 10)
    last_first = [{"type": "ADDED", "object": item} for item in reversed(list(server.objects.values()))]
    half = b"".join(json.dumps(line).encode() + b"\n" for line in last_first[:5])

    async def cut_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(half)
        assert request.transport is not None
        request.transport.abort()
        return response

    server.instead["stream"].append(cut_off)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(10 * PULL)
        await server.until_watched()
    assert stored_counts(tmp_path) == expected
    assert len(server.asked("stream")) == 2
    assert server.asked("list") == []


async def test_after_compaction_it_lists_again_inside_a_watch_and_the_gap_is_recorded(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 3)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        await running.until_stored(3 * PULL)
    expected |= await put_pulls(server, 3, 4)
    server.compact()
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(7 * PULL + 1)
    assert stored_counts(tmp_path) == expected
    assert "410" in stored_gaps(tmp_path)[0].why
    assert len(server.asked("stream")) == 2


@pytest.mark.parametrize(
    "answer",
    [
        refuse(400, "invalid value for sendInitialEvents"),
        refuse(422, "sendInitialEvents is forbidden"),
        in_stream(500, "the required storage feature RequestWatchProgress is disabled"),
        stream(b'{"type":"ADDED","object":{"metadata":{"uid":"x","resourceVersion":"7"}}}\n'),
    ],
    ids=["400", "422", "in-stream 500", "an end without the bookmark"],
)
async def test_a_server_without_them_is_asked_for_pages_from_then_on(
    server: ApiServer, tmp_path: Path, answer: Answer
) -> None:
    expected = await put_pulls(server, 0, 1_200)
    server.instead["stream"].append(answer)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        await running.until_stored(1_200 * PULL)
        await server.cut_watches()
        expected |= await put_pulls(server, 1_200, 1)
        await running.until_stored(1_201 * PULL)
    assert stored_counts(tmp_path) == expected
    assert len(server.asked("stream")) == 1
    assert len(server.asked("list")) == 3
    assert running.backoffs == [0.8], "after the cut alone"


async def test_one_that_does_not_know_them_at_all_is_told_by_its_silence(server: ApiServer, tmp_path: Path) -> None:
    """Before Kubernetes 1.20 the parameters are ignored: the present state comes, and never the end of it."""
    expected = await put_pulls(server, 0, 3)
    server.instead["stream"].append(hang)
    impatient = replace(SETTINGS, watch=replace(SETTINGS.watch, list_silence_seconds=0.1))
    async with collecting(server.url, tmp_path, impatient) as running:
        await running.until_stored(3 * PULL)
        await server.until_watched()
    assert stored_counts(tmp_path) == expected
    assert running.told("silence instead of the list's end")
    assert running.status.lists == 1


async def test_a_server_that_is_busy_is_asked_for_the_same_again(server: ApiServer, tmp_path: Path) -> None:
    expected = await put_pulls(server, 0, 1)
    server.instead["stream"].extend([refuse(429, "busy", {"Retry-After": "7"}), refuse(503), in_stream(504, "timeout")])
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(PULL)
    assert stored_counts(tmp_path) == expected
    assert len(server.asked("stream")) == 4
    assert running.backoffs[0] == 7.0


async def test_by_a_setting_lists_come_in_pages(server: ApiServer, tmp_path: Path) -> None:
    paged = replace(SETTINGS, watch=replace(SETTINGS.watch, streaming_list=False))
    async with collecting(server.url, tmp_path, paged):
        await server.until_watched()
    assert (len(server.asked("stream")), len(server.asked("list"))) == (0, 1)
