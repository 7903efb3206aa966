"""Pods watched beside the events, on the small API server: pulls that no event told of end up in the store, once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.reconciling.pod_reconciler import PODS
from collector.reconciling.since import FILE_NAME, decode_since
from collector.spooling.spool import Spool
from pullstudy.pulls.record import Outcome, PullRecord, witness_uid
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.api_server import ApiServer, cut, in_stream, refuse, serving
from tests.collector.harness import SETTINGS, Collecting, collecting
from tests.collector.kube_events import event
from tests.collector.kube_pods import DIGEST, START, pod, pulled, runs, waits

OTHER = "registry.example/other:1"
SPOOL = Path("spool", "sim-t")
GRACE = SETTINGS.reconcile.grace_seconds


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


def now_ish(**more: Any) -> dict[str, Any]:
    """A pod made a minute from now: after the first list, by the API server's clock."""
    made = pod(**more)
    later = datetime.now(UTC) + timedelta(minutes=1)
    made["metadata"]["creationTimestamp"] = later.strftime("%Y-%m-%dT%H:%M:%SZ")
    return made


def running_pod(name: str, *images: str, **more: Any) -> dict[str, Any]:
    made = now_ish(name=name, **more)
    states = [runs()] * max(1, len(images))
    return {**pod(name, *states, images=images, **more), "metadata": made["metadata"]}


def saved(directory: Path) -> datetime | None:
    """From when on the next start looks at pods."""
    with Spool(directory / SPOOL, SETTINGS.spool) as spool:
        return decode_since(spool.position(PODS))


async def until_seen(running: Collecting, pods: int) -> None:
    await running.until(lambda: running.status.pods >= pods)


async def grace_over(running: Collecting) -> None:
    running.clock.advance(GRACE)
    await running.clock.step()


def records(directory: Path) -> list[PullRecord]:
    store = EmbeddedStore(directory, create=False)
    try:
        return list(store.pulls())
    finally:
        store.close_now()


async def test_a_pull_without_an_event_is_recorded_with_what_pod_status_knows(
    server: ApiServer, tmp_path: Path
) -> None:
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        await server.pods.put(running_pod("told"))
        await server.pods.put(running_pod("untold", OTHER, node="n7"))
        await server.put(pulled("told"))
        await until_seen(running, 2)
        await running.clock.step()
        assert (running.status.untold.total(), running.status.awaited) == (0, 1)
        await grace_over(running)
    (record,) = [each for each in records(tmp_path) if each.pod == "untold"]
    assert record.identity == (record.cluster, witness_uid("uid-untold", "c0"), 1)
    assert (record.node, record.image, record.digest, record.outcome) == ("n7", OTHER, DIGEST, Outcome.PULLED)
    assert (record.started_at, record.pull_seconds, record.image_bytes) == (None, None, None)
    assert record.finished_at == START + timedelta(seconds=10)
    assert len(records(tmp_path)) == 2
    assert (running.status.accounted, running.status.untold) == (1, {"pulled": 1})
    (said,) = running.told("no event told of these pulls")
    assert "pulls=1 example=default/untold/c0" in said


async def test_an_event_that_comes_late_takes_the_records_place(server: ApiServer, tmp_path: Path) -> None:
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        await server.pods.put(running_pod("late"))
        await until_seen(running, 1)
        await grace_over(running)
        await running.until_stored(1)
        assert [each.event_uid for each in records(tmp_path)] == [witness_uid("uid-late", "c0")]
        before = running.status.stored + running.status.stored_before
        await server.put(pulled("late"))
        await running.until_stored(before + 2)
    (record,) = records(tmp_path)
    assert record.pull_seconds == 1.0


async def test_an_event_that_the_api_server_has_and_the_watch_has_not_brought_is_no_loss(
    server: ApiServer, tmp_path: Path
) -> None:
    """The process before this one had read it; this one starts after it, at its version."""
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        await server.pods.put(running_pod("before"))
        await server.put(pulled("before"))
        await running.until_stored(2)
        await running.clock.step()
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.put(running_pod("again"))
        await server.put(pulled("again"))
        await until_seen(running, 2)
        await grace_over(running)
    assert running.status.untold == {}
    assert {each.pod for each in records(tmp_path)} == {"before", "again"}


async def test_what_happened_while_nobody_watched_is_reconciled_at_the_next_start(
    server: ApiServer, tmp_path: Path
) -> None:
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        await running.clock.step()
    assert saved(tmp_path) is not None
    await server.pods.put(running_pod("meanwhile"))
    await server.pods.put(pod("long-ago", runs()))
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await until_seen(running, 2)
        await grace_over(running)
    assert [each.pod for each in records(tmp_path)] == ["meanwhile"]


async def test_without_the_permission_it_is_said_once_and_the_rest_works(server: ApiServer, tmp_path: Path) -> None:
    server.pods.instead["list"].extend([refuse(403, "pods is forbidden")] * 3)
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.put(event(1))
        await running.until_stored(2)
        await server.pods.until_watched()
        await server.pods.put(running_pod("given-back"))
        await until_seen(running, 1)
        await grace_over(running)
    assert len(running.told("pods may not be read (403 pods is forbidden)")) == 1
    assert len(running.told("pods may be read again")) == 1
    assert running.clock.sleeps.count(SETTINGS.reconcile.shut_out_seconds) == 3
    assert running.status.untold.total() == 1


async def test_a_login_that_expired_is_renewed_at_once(server: ApiServer, tmp_path: Path) -> None:
    server.pods.instead["list"].append(refuse(401, "Unauthorized"))
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
    assert running.told("pods may") == []
    assert SETTINGS.reconcile.shut_out_seconds not in running.clock.sleeps


async def test_cuts_and_stale_versions_lose_no_pod(server: ApiServer, tmp_path: Path) -> None:
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        await server.pods.cut_watches()
        await server.pods.put(running_pod("after-a-cut", OTHER))
        await until_seen(running, 1)
        server.pods.instead["watch"].append(in_stream(410, "too old resource version"))
        await server.pods.cut_watches()
        await running.until(lambda: len(server.pods.asked("list")) == 2)
        await server.pods.put(running_pod("after-a-list", node="n2"))
        await until_seen(running, 3)
        server.instead["reason"].extend([cut] * 2 * len(("500", "125", "31", "7", "1")))  # each look asks for less
        await grace_over(running)
        assert running.status.untold.total() == 0, "nothing is taken for lost while the API server cannot be asked"
        await running.clock.step()
    assert {each.pod for each in records(tmp_path)} == {"after-a-cut", "after-a-list"}
    assert running.told("WARNING: the") == [], "the event watch had no trouble"


async def test_failures_are_recorded_as_failures_and_unreadable_pods_are_counted(
    server: ApiServer, tmp_path: Path
) -> None:
    failing = {**pod("failing", waits("ErrImagePull", "not found")), "metadata": now_ish(name="failing")["metadata"]}
    broken = {**running_pod("broken"), "spec": "none"}
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        await server.pods.put(broken)
        await server.pods.put(failing)
        await until_seen(running, 1)
        await grace_over(running)
    (record,) = records(tmp_path)
    assert (record.pod, record.outcome, record.error) == ("failing", Outcome.FAILED, "ErrImagePull: not found")
    assert running.status.pods_unreadable == 1


async def test_pods_are_asked_for_with_a_node_only_in_pages_and_then_watched(server: ApiServer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, watch=replace(SETTINGS.watch, page_items=2))
    for name in ("a", "b", "c"):
        await server.pods.put(pod(name, runs()))
    async with collecting(server.url, tmp_path, settings, reconcile=True) as running:
        await server.pods.until_watched()
        await grace_over(running)
    assert [query.get("limit") for query in server.pods.asked("list")] == ["2", "2"]
    assert {query["fieldSelector"] for _, query in server.pods.requests if "watch" in query} == {"spec.nodeName!="}
    assert records(tmp_path) == [], "they were there before anybody watched"
    assert server.asked("reason") == [], "no question where nothing is missing"


async def test_what_a_version_before_left_in_a_file_is_gone_on_from(server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / SPOOL).mkdir(parents=True)
    (tmp_path / SPOOL / FILE_NAME).write_text("2026-01-01T00:00:00+00:00\n")
    await server.pods.put(pod("meanwhile", runs()))
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await until_seen(running, 1)
        await grace_over(running)
    assert [each.pod for each in records(tmp_path)] == ["meanwhile"]


async def test_its_position_goes_with_its_records_and_else_once_a_minute(server: ApiServer, tmp_path: Path) -> None:
    """By the API server's clock: each is a synchronisation of the disk."""
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await server.pods.until_watched()
        for _ in range(5):
            await running.clock.step()
    with Spool(tmp_path / SPOOL, SETTINGS.spool) as spool:
        assert spool.last <= 3, "the list of events, and one of pods; a minute may have passed"
    first = saved(tmp_path)
    assert first is not None
    await server.pods.put(running_pod("untold", OTHER))
    async with collecting(server.url, tmp_path, reconcile=True) as running:
        await until_seen(running, 1)
        await grace_over(running)
    second = saved(tmp_path)
    assert second is not None
    assert second >= first
