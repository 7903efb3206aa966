"""What kubelets, recorders and pods can be made to do wrong."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.sim.conftest import EVENTS, IMAGE, JOBS, PODS, Api, Start, job


async def events(api: Api, reason: str) -> list[Any]:
    return list((await api.get(f"{EVENTS}?fieldSelector=reason%3D{reason}"))["items"])


async def until_failed(api: Api, name: str) -> Any:
    async with api.watch(f"{JOBS}?watch=1&resourceVersion=0&fieldSelector=metadata.name%3D{name}") as reader:
        while True:
            conditions = (await reader.next())["object"]["status"].get("conditions", [])
            for condition in conditions:
                if condition["type"] in ("Failed", "Complete"):
                    return condition


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("too_many_requests", "429 Too Many Requests"),
        ("unauthorized", "401 Unauthorized"),
        ("forbidden", "403 Forbidden"),
        ("not_found", f"{IMAGE}: not found"),
        ("timeout", "i/o timeout"),
        ("no_space", "no space left on device"),
        ("unavailable", "503 Service Unavailable"),
        ("qps", "pull QPS exceeded"),
    ],
)
async def test_a_failed_pull_is_told_in_the_runtimes_words_and_tried_again(api: Api, kind: str, words: str) -> None:
    await api.fault("pull-fails", kind=kind, times=1)
    done = await api.run_job("one", pods=1)
    assert done["status"]["succeeded"] == 1
    failed = [event["message"] for event in await events(api, "Failed")]
    assert any(message.startswith(f'Failed to pull image "{IMAGE}": ') and words in message for message in failed)
    assert "Error: ErrImagePull" in failed
    assert "Error: ImagePullBackOff" in failed
    assert [event["message"] for event in await events(api, "BackOff")] == [f'Back-off pulling image "{IMAGE}"']
    outcomes = [row["outcome"] for row in await api.truth(job="one")]
    assert outcomes == ["failed", "backoff", "pulled"]


async def test_back_off_doubles_from_ten_seconds_to_five_minutes(api: Api) -> None:
    await api.fault("pull-fails", kind="not_found")
    await api.post(JOBS, job("one", pods=1, activeDeadlineSeconds=2000))
    assert (await until_failed(api, "one"))["reason"] == "DeadlineExceeded"
    rows = await api.truth(job="one", outcome="failed")
    at = [datetime.fromisoformat(row["finished_at"]).timestamp() for row in rows]
    pauses = [round(b - a) for a, b in pairwise(at)]
    assert pauses[:6] == pytest.approx([10, 20, 40, 80, 160, 300], abs=2)


async def test_pod_status_says_why_it_waits(api: Api) -> None:
    await api.fault("pull-fails", kind="unauthorized")
    version = await api.version()
    await api.post(JOBS, job("one", pods=1))
    async with api.watch(f"{PODS}?watch=1&resourceVersion={version}") as reader:
        seen = {}
        while "ImagePullBackOff" not in seen:
            statuses = (await reader.next())["object"]["status"].get("containerStatuses", [])
            for waiting in [s["state"]["waiting"] for s in statuses if "waiting" in s["state"]]:
                seen[waiting["reason"]] = waiting.get("message", "")
    assert list(seen) == ["ContainerCreating", "ErrImagePull", "ImagePullBackOff"]
    assert seen["ImagePullBackOff"].startswith(f'Back-off pulling image "{IMAGE}": ErrImagePull: failed to pull')


async def test_only_the_named_node_and_image_fail(api: Api) -> None:
    node = (await api.get("/api/v1/nodes"))["items"][0]["metadata"]["name"]
    await api.fault("pull-fails", kind="timeout", node=node, image="*:9-layers-*", times=1)
    await api.run_job("one", pods=4)
    assert [row["node"] for row in await api.truth(outcome="failed")] == [node]
    assert len(await api.truth(outcome="pulled")) == 4


async def test_a_failed_pod_is_replaced_under_its_index(api: Api) -> None:
    await api.fault("pod-fails", job="one", index=1, exit_code=3)
    done = await api.run_job("one", pods=3)
    assert (done["status"]["succeeded"], done["status"]["failed"]) == (3, 1)
    pods = (await api.get(PODS))["items"]
    assert sorted(pod["metadata"]["name"].split("-")[1] for pod in pods) == ["0", "1", "1", "2"]
    codes = [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in pods]
    assert sorted(codes) == [0, 0, 0, 3]


async def test_a_job_gives_up_at_its_backoff_limit(api: Api) -> None:
    await api.fault("pod-fails", times=100)
    done = await api.run_job("one", pods=1, backoffLimit=1)
    failed = [condition for condition in done["status"]["conditions"] if condition["type"] == "Failed"]
    assert failed[0]["reason"] == "BackoffLimitExceeded"
    assert [event["type"] for event in await events(api, "BackoffLimitExceeded")] == ["Warning"]


async def test_node_clocks_can_be_wrong(api: Api) -> None:
    node = (await api.get("/api/v1/nodes"))["items"][0]["metadata"]["name"]
    await api.fault("clock-skew", node=node, seconds=600)
    await api.run_job("one", pods=4)
    skews = {}
    for event in await events(api, "Pulled"):
        told = datetime.fromisoformat(event["firstTimestamp"])
        posted = datetime.fromisoformat(event["metadata"]["creationTimestamp"])
        skews[event["source"]["host"]] = (told - posted).total_seconds()
        named = int(event["metadata"]["name"].rpartition(".")[2], 16) // 1_000_000_000
        assert named == int(told.timestamp())
    assert skews.pop(node) == 600
    assert set(skews.values()) == {0}


async def test_a_job_is_over_before_its_events_arrive(start: Start) -> None:
    api = await start(patience_seconds=0.3)
    await api.fault("delay-events", reason="Pulled", seconds=120)
    await api.post(JOBS, job("one"))
    await until_failed(api, "one")
    assert await events(api, "Pulled") == []
    await api.quiet()
    assert len(await events(api, "Pulled")) == 2
    assert {row["lost"] for row in await api.truth(job="one")} == {None}


async def test_lost_events_are_in_the_truth_alone(api: Api) -> None:
    await api.fault("lose-events", reason="Pulled", times=1)
    await api.run_job("one")
    assert len(await events(api, "Pulled")) == 1
    rows = await api.truth(job="one")
    assert sorted(row["lost"] or "" for row in rows) == ["", "sender loss"]
    assert [row["event_uid"] is None for row in rows] == [row["lost"] is not None for row in rows]


async def test_a_lapsed_event_comes_back_with_a_new_uid_and_counts_on(api: Api) -> None:
    await api.fault("pull-fails", kind="not_found")
    await api.post(JOBS, job("one", pods=1))
    async with api.watch(f"{EVENTS}?watch=1&resourceVersion=0&fieldSelector=reason%3DBackOff") as reader:
        first = (await reader.next())["object"]
        assert (await api.fault("lapse-events"))["events"] > 0
        deleted, again = await reader.next(), await reader.next()
        while deleted["type"] != "DELETED":
            deleted, again = again, await reader.next()
    assert again["type"] == "ADDED"
    assert again["object"]["metadata"]["uid"] != first["metadata"]["uid"]
    assert again["object"]["metadata"]["name"] == first["metadata"]["name"]
    assert again["object"]["count"] == deleted["object"]["count"] + 1


async def test_events_live_for_an_hour(api: Api) -> None:
    await api.run_job("one")
    await api.post("/sim/advance", {"seconds": 3400})
    assert (await api.get(EVENTS))["items"]
    await api.post("/sim/advance", {"seconds": 300})
    assert (await api.get(EVENTS))["items"] == []


async def test_slow_nodes_are_slower_by_their_factor(api: Api) -> None:
    node = (await api.get("/api/v1/nodes"))["items"][2]["metadata"]["name"]
    await api.fault("slow-nodes", node=node, factor=3.0)
    await api.run_job("one", pods=4)
    seconds = {row["node"]: row["pull_seconds"] for row in await api.truth(outcome="pulled")}
    slow = seconds.pop(node)
    assert slow == pytest.approx(3 * max(seconds.values()), rel=0.1)


async def test_the_pods_of_a_lost_node_are_replaced(api: Api) -> None:
    node = (await api.get("/api/v1/nodes"))["items"][1]["metadata"]["name"]
    await api.fault("lose-node", node=node, in_seconds=2)
    await api.post(JOBS, job("one", pods=4, apart=False))
    condition = await until_failed(api, "one")
    assert condition["type"] == "Complete"
    ready = (await api.get(f"/api/v1/nodes/{node}"))["status"]["conditions"][-1]
    assert (ready["type"], ready["status"]) == ("Ready", "Unknown")
    assert node not in {row["node"] for row in await api.truth(outcome="pulled")}


async def test_faults_can_be_told_apart_by_probability(start: Start) -> None:
    api = await start(nodes=40)
    await api.fault("pull-fails", kind="unavailable", probability=0.25, times=1000)
    await api.run_job("one", pods=40)
    failed = len(await api.truth(outcome="failed"))
    assert 3 <= failed <= 30
    assert len(await api.truth(outcome="pulled")) == 40
