"""The collector against an API server that misbehaves: cases 2 to 12 of what real servers were seen to do."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from collector.sources.checkpoint import Checkpoint
from collector.spooling.frame import read_frames
from pullstudy.pulls.kinds import STREAMING
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.api_server import (
    Answer,
    ApiServer,
    cut,
    hang,
    in_stream,
    refuse,
    serving,
    stream,
    write_kubeconfig,
)
from tests.collector.harness import (
    SETTINGS,
    VirtualClock,
    collecting,
    put_pulls,
    stored_counts,
    stored_gaps,
    stored_rejects,
)
from tests.collector.kube_events import PULLED, START, backoff, event

PULL = 2  # records of one Pulled event: the pull and its milestone


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


def delete_kubeconfig(directory: Path) -> None:
    (directory / "kubeconfig").unlink()


def delete_store(directory: Path) -> None:
    for path in directory.glob("study.sqlite3*"):
        path.unlink()


async def test_what_a_nodes_snapshotter_says_of_its_images_is_stored(server: ApiServer, tmp_path: Path) -> None:
    text = "Image a/b@sha256:ab is backed by image streaming."
    streamed = event(1, reason="ImageStreaming", message=text, component="gcfs-snapshotter", uid="s")
    streamed["involvedObject"] = {"kind": "Node", "name": "node-7", "uid": "n"}
    await server.put(streamed)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(1)
    store = EmbeddedStore(tmp_path, create=False)
    found = [(one.node, one.repository, one.event_uid) for one in store.records(STREAMING)]
    store.close_now()
    assert found == [("node-7", "a/b", "s")]


async def test_what_was_there_before_and_what_comes_after_is_stored_once(server: ApiServer, tmp_path: Path) -> None:
    expected = await put_pulls(server, 0, 1_200)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        expected |= await put_pulls(server, 1_200, 5)
        await running.until_stored(1_205 * PULL)
    assert stored_counts(tmp_path) == expected
    assert len(server.asked("list")) == 3
    assert stored_gaps(tmp_path) == []
    assert running.told("watching events of sim-t at http://127.0.0.1")


async def test_restarted_it_goes_on_at_its_version_without_a_list(server: ApiServer, tmp_path: Path) -> None:
    expected = await put_pulls(server, 0, 3)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    expected |= await put_pulls(server, 3, 3)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(3 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.status.lists == 0
    assert running.status.stored_before == 0


async def test_case_2_a_checkpoint_compacted_away_is_listed_anew_and_only_the_unseen_are_new(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 3)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    left_at = str(server.version)
    expected |= await put_pulls(server, 3, 4)
    server.compact()
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(7 * PULL + 1)
    assert stored_counts(tmp_path) == expected
    assert (running.status.stored, running.status.stored_before) == (4 * PULL + 1, 3 * PULL)
    (gap,) = stored_gaps(tmp_path)
    assert (gap.from_version, gap.to_version) == (left_at, str(server.version))
    assert "410" in gap.why


async def test_case_3_a_checkpoint_of_another_cluster_is_said_loudly_and_listed_anew(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 2)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    server.uid = "22222222-2222-4222-8222-222222222222"
    server.objects.clear()
    expected |= await put_pulls(server, 10, 2)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2 * PULL + 1)
    assert stored_counts(tmp_path) == expected
    assert running.told("WARNING: cluster sim-t is ANOTHER one than before")
    assert "its uid was 1111" in stored_gaps(tmp_path)[0].why


async def test_case_3_a_restored_cluster_whose_versions_lie_behind_is_noticed_and_never_waited_on(
    server: ApiServer, tmp_path: Path
) -> None:
    """The identity is the same after a restore: only the version, ahead of the server's, tells it."""
    expected = await put_pulls(server, 0, 5)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    server.version, server.history = 102, server.history[:2]
    expected |= await put_pulls(server, 20, 1)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(6 * PULL + 1)
    assert stored_counts(tmp_path) == expected
    assert "Too large resource version" in stored_gaps(tmp_path)[0].why


async def test_case_3_a_cluster_restored_while_it_is_watched_is_noticed_at_the_next_watch(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 5)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        server.version, server.history = 102, server.history[:2]
        await server.cut_watches()
        await running.until(lambda: running.status.lists == 2)
        await server.until_watched()
        expected |= await put_pulls(server, 20, 1)
        await running.until_stored(6 * PULL + 1)
    assert stored_counts(tmp_path) == expected


async def test_case_4_a_quiet_watch_cut_after_compaction_is_listed_anew_and_nothing_is_doubled(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 5)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        running.clock.advance(360)
        server.compact()
        await server.cut_watches()
        await running.until(lambda: running.status.lists == 2)
        await server.until_watched()
        expected |= await put_pulls(server, 5, 1)
        await running.until_stored(6 * PULL + 1)
    assert stored_counts(tmp_path) == expected
    assert running.status.repeated == 5
    assert running.status.stored_before == 0
    assert len(stored_gaps(tmp_path)) == 1


async def test_case_5_a_watch_closed_empty_again_and_again_pauses_longer_each_time_and_then_lists(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 2)
    server.instead["watch"].extend([stream()] * 8)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        expected |= await put_pulls(server, 2, 1)
        await running.until_stored(3 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.backoffs == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert running.status.lists == 3  # the first, and one after each three
    assert stored_gaps(tmp_path) == []


async def test_a_watch_that_ends_in_good_order_after_its_time_is_followed_by_the_next_at_once(
    server: ApiServer, tmp_path: Path
) -> None:
    async with collecting(server.url, tmp_path) as running:

        async def time_out(request: web.Request) -> web.StreamResponse:
            running.clock.advance(400)
            return await stream()(request)

        server.instead["watch"].extend([time_out] * 5)
        await running.until(lambda: len(server.asked("watch")) >= 6)
        await server.until_watched()
    assert running.backoffs == []
    assert running.status.lists == 1
    timeouts = [int(query["timeoutSeconds"]) for query in server.asked("watch")]
    assert all(300 <= timeout <= 600 for timeout in timeouts)
    assert len(set(timeouts)) > 1


async def test_case_6_a_half_open_connection_meets_its_own_deadline_and_is_watched_on_at_the_same_version(
    server: ApiServer, tmp_path: Path
) -> None:
    quickly = replace(SETTINGS.watch, timeout_min_seconds=0.1, timeout_max_seconds=0.1, deadline_margin_seconds=0.1)
    expected = await put_pulls(server, 0, 1)
    server.instead["watch"].append(hang)
    async with collecting(server.url, tmp_path, replace(SETTINGS, watch=quickly)) as running:
        await running.until(lambda: len(server.asked("watch")) == 1)
        expected |= await put_pulls(server, 1, 2)
        await running.until_stored(3 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.told("no answer within the deadline")
    assert running.status.lists == 1
    versions = [query["resourceVersion"] for query in server.asked("watch")]
    assert versions[:2] == [versions[0]] * 2


async def test_case_7_an_api_server_away_for_30_seconds_is_asked_ever_more_slowly_and_watched_on(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 1)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()

        async def away(request: web.Request) -> web.StreamResponse:
            if running.clock.seconds < 30:
                server.instead["identity"].append(away)
                return await cut(request)
            return await server.identity(request)

        server.instead["identity"].append(away)
        await server.cut_watches()
        await running.until(lambda: len(server.asked("watch")) == 2)
        expected |= await put_pulls(server, 1, 1)
        await running.until_stored(2 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.backoffs == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6]
    said = [line.partition(" next_try_seconds=")[2] for line in running.told("was cut")]
    assert said == [str(seconds) for seconds in running.backoffs]
    assert running.status.lists == 1


@pytest.mark.parametrize(
    ("kind", "answer", "waits"),
    [
        ("watch", refuse(429, "slow down", {"Retry-After": "7"}), [7.0]),
        ("watch", in_stream(429, "slow down", retry_after=9), [9.0]),
        ("watch", refuse(503, "a proxy's word", {"Retry-After": "0"}), [0.8]),
        ("watch", refuse(503, "a proxy's word", {"Retry-After": "9" * 400}), [600.0]),
        ("watch", refuse(500), [0.8]),
        ("watch", refuse(503), [0.8]),
        ("watch", refuse(504, "the API server gave up"), [0.8]),
        ("watch", in_stream(500, "etcd has no leader"), [0.8]),
        ("watch", in_stream(504, "timeout"), [0.8]),
        ("watch", cut, [0.8]),
        ("list", refuse(429, "slow down", {"Retry-After": "7"}), [7.0]),
        ("list", refuse(500), [0.8]),
        ("list", cut, [0.8]),
        ("identity", refuse(500), [0.8]),
    ],
)
async def test_case_7_distress_is_backed_off_and_goes_on_at_the_same_version_without_a_list(
    server: ApiServer, tmp_path: Path, kind: str, answer: Answer, waits: list[float]
) -> None:
    expected = await put_pulls(server, 0, 1)
    server.instead[kind].extend([answer, cut] if answer is cut else [answer])
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        expected |= await put_pulls(server, 1, 1)
        await running.until_stored(2 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.backoffs == waits
    assert running.status.lists == (2 if kind == "list" else 1)
    assert stored_gaps(tmp_path) == []


async def test_an_expired_token_is_renewed_from_the_kubeconfig_and_no_version_is_skipped(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 1)
    tokens: list[str | None] = []

    async def unauthorized(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers.get("Authorization"))
        return await refuse(401, "Unauthorized")(request)

    async def authorized(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers.get("Authorization"))
        return await server.watch(request)

    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        write_kubeconfig(tmp_path / "kubeconfig", server.url, token="renewed")
        server.instead["watch"].extend([unauthorized, authorized])
        await server.cut_watches()
        await running.until(lambda: len(tokens) == 2)
        expected |= await put_pulls(server, 1, 1)
        await running.until_stored(2 * PULL)
    assert tokens == [None, "Bearer renewed"]
    assert stored_counts(tmp_path) == expected
    assert running.status.lists == 1


async def test_a_login_that_cannot_be_renewed_is_said_and_tried_again(server: ApiServer, tmp_path: Path) -> None:
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        delete_kubeconfig(tmp_path)
        server.instead["watch"].extend([refuse(401), refuse(401)])
        await server.cut_watches()
        await running.until(lambda: len(running.told("the login cannot be renewed")) == 2)
        await server.until_watched()
    assert running.backoffs == [0.8, 1.6, 3.2]  # after the cut, and after each answer 401


@pytest.mark.parametrize("answer", [refuse(410, "too old"), in_stream(410, "too old resource version: 101 (500)")])
async def test_410_on_opening_or_in_the_stream_lists_anew_at_once_and_keeps_each_pull_once(
    server: ApiServer, tmp_path: Path, answer: Answer
) -> None:
    expected = await put_pulls(server, 0, 3)
    server.instead["watch"].append(answer)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        expected |= await put_pulls(server, 3, 1)
        await running.until_stored(4 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.backoffs == []
    assert running.status.repeated == 3
    assert stored_gaps(tmp_path) == []  # nothing had happened between the list and the other


async def test_case_8_a_second_page_that_expires_is_followed_by_one_list_of_everything(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 1_100)

    async def expire_the_next(request: web.Request) -> web.StreamResponse:
        server.instead["list"].append(refuse(410, "The provided continue parameter is too old"))
        return await server.list_page(request)

    server.instead["list"].append(expire_the_next)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(1_100 * PULL)
        await server.until_watched()
    assert stored_counts(tmp_path) == expected
    queries = server.asked("list")
    assert [("continue" in query, "limit" in query) for query in queries] == [
        (False, True),
        (True, True),
        (False, False),
    ]


async def test_case_9_a_backoff_updated_in_place_is_kept_at_each_revision(server: ApiServer, tmp_path: Path) -> None:
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        for count in range(1, 51):
            await server.put(backoff(0, count))
        await running.until_stored(50)
    (counts,) = stored_counts(tmp_path).values()
    assert counts == list(range(1, 51))


async def test_case_9_updates_while_disconnected_are_replayed_within_the_window(
    server: ApiServer, tmp_path: Path
) -> None:
    await server.put(backoff(0, 1))
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    for count in range(2, 7):
        await server.put(backoff(0, count))
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(5)
    (counts,) = stored_counts(tmp_path).values()
    assert counts == [1, 2, 3, 4, 5, 6]
    assert stored_gaps(tmp_path) == []


async def test_case_9_updates_while_disconnected_and_compacted_leave_the_latest_count_and_a_gap(
    server: ApiServer, tmp_path: Path
) -> None:
    await server.put(backoff(0, 1))
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    for count in range(2, 7):
        await server.put(backoff(0, count))
    server.compact()
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2)
    (counts,) = stored_counts(tmp_path).values()
    assert counts == [1, 6]
    assert len(stored_gaps(tmp_path)) == 1


async def test_a_store_that_was_deleted_is_filled_again_with_what_the_cluster_still_has(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 3)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(3 * PULL)
    delete_store(tmp_path)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(3 * PULL + 1)
    assert stored_counts(tmp_path) == expected
    assert running.told("WARNING: the spool's records were stored in a study.sqlite3 that is gone")
    assert len(stored_gaps(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["torn", "flipped", "emptied"])
async def test_case_10_a_damaged_spool_goes_on_from_its_last_whole_record(
    server: ApiServer, tmp_path: Path, damage: str
) -> None:
    expected = await put_pulls(server, 0, 1)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        for number in range(1, 6):
            expected |= await put_pulls(server, number, 1)
            await running.until_stored((number + 1) * PULL)
    (segment,) = (tmp_path / "spool" / "sim-t").glob("*.spool")
    data = segment.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]
    segment.write_bytes({"torn": data[:middle], "flipped": flipped, "emptied": data[:3]}[damage])
    expected |= await put_pulls(server, 6, 2)
    async with collecting(server.url, tmp_path) as running:
        await running.until(lambda: server.watches > 0 and running.status.stored >= 2 * PULL)
    assert stored_counts(tmp_path) == expected
    assert running.told("WARNING: the spool was damaged")
    assert running.status.lists == (1 if damage == "emptied" else 0)
    assert [gap.from_version for gap in stored_gaps(tmp_path)] == ([""] if damage == "emptied" else [])


async def test_case_11_events_deleted_after_their_hour_neither_lose_nor_make_a_record(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 3)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        for uid in list(expected):
            await server.delete(uid)
        await running.until(lambda: running.status.deleted == 3)
    assert stored_counts(tmp_path) == expected


async def test_case_11_an_event_made_anew_with_its_count_going_on_is_a_record_of_its_own(
    server: ApiServer, tmp_path: Path
) -> None:
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        await server.put(backoff(0, 7))
        await server.delete(backoff(0, 7)["metadata"]["uid"])
        anew = backoff(0, 8)
        anew["metadata"]["uid"] = "made-anew"
        await server.put(anew)
        await running.until_stored(2)
    assert stored_counts(tmp_path) == {backoff(0, 7)["metadata"]["uid"]: [7], "made-anew": [8]}


async def test_case_12_a_node_clock_10_minutes_off_changes_nothing(server: ApiServer, tmp_path: Path) -> None:
    off = [timedelta(minutes=10), timedelta(0), timedelta(minutes=-10), timedelta(days=-400)]
    expected = {}
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        for number, skew in enumerate(off):
            item = event(number, at=START + skew)
            expected[item["metadata"]["uid"]] = [1]
            await server.put(item)
        await running.until_stored(len(off) * PULL)
    assert stored_counts(tmp_path) == expected
    store = EmbeddedStore(tmp_path, create=False)
    finished = sorted(record.finished_at for record in store.pulls() if record.finished_at)
    store.close_now()
    assert finished[-1] - finished[1] == timedelta(minutes=20) - timedelta(seconds=2)


async def test_a_line_that_cannot_be_read_is_kept_and_the_lines_around_it_are_taken(
    server: ApiServer, tmp_path: Path
) -> None:
    good, better = event(1), event(2)
    lines = [
        json.dumps({"type": "ADDED", "object": good}).encode(),
        b'{"type":"ADDED","object":{"metadata":{"name":',
        b'{"type":"ADDED","object":{"metadata":{"uid":42}}}',
        b'{"type":"ADDED","object":{"message":"\xff"}}',
        b'{"type":"ADDED","object":{"nested":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b"",
        json.dumps({"type": "ADDED", "object": better}).encode(),
    ]
    server.instead["watch"].append(stream(b"\n".join(lines)))  # and the last line lacks its end
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2 * PULL + 4)
    assert set(stored_counts(tmp_path)) == {good["metadata"]["uid"], better["metadata"]["uid"]}
    assert {reject.raw for reject in stored_rejects(tmp_path)} == {line.decode(errors="replace") for line in lines[1:5]}
    assert running.status.unreadable == 4
    assert {reject.at for reject in stored_rejects(tmp_path)} == {VirtualClock().now()}


async def test_a_server_that_sends_nothing_but_garbage_is_asked_ever_more_slowly(
    server: ApiServer, tmp_path: Path
) -> None:
    server.instead["watch"].extend([stream(b"<html>Bad gateway</html>\n")] * 4)
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
    assert running.backoffs == [0.8, 1.6, 3.2, 6.4]
    assert len(stored_rejects(tmp_path)) == 1


async def test_a_message_of_no_known_form_is_kept_once_though_watch_and_list_show_it(
    server: ApiServer, tmp_path: Path
) -> None:
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        await server.put(event(1, message="Pulled it somehow"))
        await running.until_stored(1)
    server.compact()
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(2)
    (reject,) = stored_rejects(tmp_path)
    assert json.loads(reject.raw)["message"] == "Pulled it somehow"
    assert "no known form" in reject.problem
    assert reject.at is not None
    assert reject.at.replace(microsecond=0).isoformat().replace("+00:00", "Z") == event(1)["lastTimestamp"]


async def test_a_stream_cut_inside_a_line_takes_that_line_once_from_the_next_watch(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 3)
    version, _, item = server.history[-1]
    server.history[-1] = (version, "ADDED", item)
    torn = json.dumps({"type": "ADDED", "object": item}).encode()[:200]
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        server.instead["watch"].append(stream(torn))
        await server.cut_watches()
        expected |= await put_pulls(server, 3, 1)
        await running.until_stored(4 * PULL)
    assert stored_counts(tmp_path) == expected
    assert stored_rejects(tmp_path) == []


def spooled_version(directory: Path) -> str:
    """Of the checkpoint that is on disk."""
    newest = max(directory.glob("spool/*/segment-*.spool"))
    return [Checkpoint.decode(entry.position).version for entry, _ in read_frames(newest.read_bytes())][-1]


async def test_events_that_tell_nothing_of_pulls_are_counted_and_move_the_checkpoint(
    server: ApiServer, tmp_path: Path
) -> None:
    async with collecting(server.url, tmp_path) as running:
        await server.until_watched()
        for number in range(5):
            await server.put(event(number, reason="NodeReady", message="Node is ready"))
        await running.until(lambda: running.status.reasons["NodeReady"] == 5)
        last = str(server.version)
        await running.until(lambda: spooled_version(tmp_path) == last)
    async with collecting(server.url, tmp_path) as running:
        await running.until(lambda: len(server.asked("watch")) == 2)
    assert server.asked("watch")[-1]["resourceVersion"] == last
    assert stored_counts(tmp_path) == {}


async def test_a_bookmark_moves_the_checkpoint(server: ApiServer, tmp_path: Path) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Event", "metadata": {"resourceVersion": "150"}}}
    server.version = 150
    server.instead["watch"].append(stream(json.dumps(bookmark).encode() + b"\n"))
    async with collecting(server.url, tmp_path):
        await server.until_watched()
    assert server.asked("watch")[-1]["resourceVersion"] == "150"
    assert server.asked("watch")[-1]["allowWatchBookmarks"] == "true"


async def test_an_identity_that_may_not_be_read_is_said_and_the_watch_runs(server: ApiServer, tmp_path: Path) -> None:
    server.instead["identity"].append(refuse(403, "forbidden"))
    expected = await put_pulls(server, 0, 1)
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(PULL)
        await server.until_watched()
    assert stored_counts(tmp_path) == expected
    assert running.told("allow 'get' on namespace kube-system")


async def test_a_proxys_page_in_place_of_a_list_is_no_list(server: ApiServer, tmp_path: Path) -> None:
    expected = await put_pulls(server, 0, 1)
    server.instead["list"].append(stream(b"<html>hello"))
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(PULL)
        await server.until_watched()
    assert stored_counts(tmp_path) == expected
    assert running.backoffs == [0.8]


async def test_an_item_of_a_list_that_cannot_be_read_does_not_cost_the_others(
    server: ApiServer, tmp_path: Path
) -> None:
    expected = await put_pulls(server, 0, 1)
    server.objects["odd"] = {"metadata": {"name": "odd", "uid": 3}, "message": PULLED}
    async with collecting(server.url, tmp_path) as running:
        await running.until_stored(PULL + 1)
    assert stored_counts(tmp_path) == expected
    (reject,) = stored_rejects(tmp_path)
    assert json.loads(reject.raw)["metadata"]["name"] == "odd"
