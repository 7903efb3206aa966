"""Watches and lists over versions, as FAULTS of real servers were measured."""

import asyncio

import pytest

from tests.sim.conftest import EVENTS, JOBS, PODS, Api, Start, job


async def test_a_stale_version_is_answered_200_with_an_error_line_410(api: Api) -> None:
    await api.run_job("one")
    await api.fault("compact")
    lines = await api.watched(f"{EVENTS}?watch=1&resourceVersion=1000")
    assert [(line["type"], line["object"]["code"], line["object"]["reason"]) for line in lines] == [
        ("ERROR", 410, "Expired")
    ]


async def test_a_version_ahead_of_the_server_is_silence(api: Api) -> None:
    async with api.watch(f"{EVENTS}?watch=1&resourceVersion=999999") as reader:
        await api.run_job("one")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.next(), 0.05)


async def test_a_list_ahead_of_the_server_times_out_as_too_large(api: Api) -> None:
    code, body = await api.ask("GET", f"{EVENTS}?resourceVersion=999999")
    assert code == 504
    assert body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_watch_resumed_in_the_window_replays_every_revision(api: Api) -> None:
    version = await api.version()
    await api.run_job("one", pods=1)
    await api.ask("DELETE", f"{JOBS}/one")
    await api.quiet()
    async with api.watch(f"{PODS}?watch=1&resourceVersion={version}") as reader:
        lines = [await reader.next() for _ in range(8)]
    assert [line["type"] for line in lines] == ["ADDED", *["MODIFIED"] * 6, "DELETED"]
    versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in lines]
    assert versions == sorted(set(versions))


async def test_an_event_counted_in_place_replays_each_count(api: Api) -> None:
    await api.fault("pull-fails", kind="not_found")
    await api.post(JOBS, job("one", pods=1))
    reader_path = f"{EVENTS}?watch=1&resourceVersion={await api.version()}&fieldSelector=reason%3DBackOff"
    async with api.watch(reader_path) as reader:
        lines = [await reader.next() for _ in range(4)]
    assert [line["object"]["count"] for line in lines] == [1, 2, 3, 4]
    assert [line["type"] for line in lines] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED"]
    assert len({line["object"]["metadata"]["uid"] for line in lines}) == 1


async def test_initial_events_do_not_come_in_the_order_of_versions(api: Api) -> None:
    await api.run_job("one", pods=4)
    count = len((await api.get(EVENTS))["items"])
    async with api.watch(f"{EVENTS}?watch=1&resourceVersion=0") as reader:
        lines = [await reader.next() for _ in range(count)]
    versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in lines]
    assert {line["type"] for line in lines} == {"ADDED"}
    assert versions != sorted(versions)


async def test_a_selecting_watch_sees_objects_come_into_and_go_out_of_its_sight(api: Api) -> None:
    version = await api.version()
    await api.run_job("one", pods=1)
    path = f"{PODS}?watch=1&resourceVersion={version}&fieldSelector=status.phase%3DPending"
    async with api.watch(path) as reader:
        lines = [await reader.next() for _ in range(4)]
    assert [line["type"] for line in lines] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


async def test_a_watch_ends_after_its_time(start: Start) -> None:
    api = await start(speed=1000.0)
    assert await api.watched(f"{EVENTS}?watch=1&resourceVersion={await api.version()}&timeoutSeconds=5") == []


async def test_pods_get_bookmarks_and_events_get_none(api: Api) -> None:
    version = await api.version()
    query = f"watch=1&resourceVersion={version}&allowWatchBookmarks=true"
    async with api.watch(f"{PODS}?{query}") as pods, api.watch(f"{EVENTS}?{query}") as events:
        for _ in range(3):
            await api.post("/sim/advance", {"seconds": 60})
            line = await pods.next()
            assert (line["type"], line["object"]["kind"]) == ("BOOKMARK", "Pod")
            assert line["object"]["metadata"]["resourceVersion"] == await api.version()
        await api.fault("close-watches", resource="events")
        assert await events.rest() == []


async def test_pages_show_one_version(api: Api) -> None:
    await api.run_job("one", pods=4)
    first = await api.get(f"{EVENTS}?limit=5")
    assert first["metadata"]["remainingItemCount"] == len((await api.get(EVENTS))["items"]) - 5
    await api.run_job("two", pods=4)
    names = [item["metadata"]["name"] for item in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        page = await api.get(f"{EVENTS}?limit=5&continue={token}")
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
    assert len(names) == len(set(names))
    assert not any(name.startswith("two") for name in names)
    assert sum(name.startswith("one-") for name in names) == 4 * 5


async def test_a_token_after_compaction_gets_410_and_a_token_for_an_inconsistent_rest(api: Api) -> None:
    await api.run_job("one", pods=4)
    token = (await api.get(f"{EVENTS}?limit=3"))["metadata"]["continue"]
    await api.run_job("two", pods=1)
    await api.fault("compact")
    code, body = await api.ask("GET", f"{EVENTS}?limit=3&continue={token}")
    assert (code, body["reason"]) == (410, "Expired")
    rest = await api.get(f"{EVENTS}?continue={body['metadata']['continue']}")
    assert rest["metadata"]["resourceVersion"] == await api.version()
    assert any(item["metadata"]["name"].startswith("two") for item in rest["items"])


async def test_a_list_at_an_exact_version_shows_the_past(api: Api) -> None:
    await api.run_job("one", pods=2)
    version = await api.version()
    await api.ask("DELETE", f"{JOBS}/one")
    await api.quiet()
    assert (await api.get(PODS))["items"] == []
    past = await api.get(f"{PODS}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert len(past["items"]) == 2


async def test_history_is_bounded_and_time_waits_for_slow_readers(start: Start) -> None:
    api = await start(keep_revisions=3000)
    async with api.watch(f"{PODS}?watch=1&resourceVersion={await api.version()}") as reader:
        for number in range(6):
            await api.run_job(f"job-{number}", pods=4)
            await api.ask("DELETE", f"{JOBS}/job-{number}")
            await api.quiet()
        seen = [await reader.next() for _ in range(6 * 4 * 8)]
    assert sum(line["type"] == "DELETED" for line in seen) == 24
    assert len((await api.get(EVENTS))["items"]) > 100
