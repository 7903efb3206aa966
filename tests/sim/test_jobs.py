"""Jobs, pods and pulls from creation to completion."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pullstudy.pulls.duration import format_seconds
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.model.parameters import EKS
from tests.sim.conftest import EVENTS, IMAGE, JOBS, PODS, Api, Start, job


async def messages(api: Api, reason: str) -> list[str]:
    path = f"{EVENTS}?fieldSelector=reason%3D{reason}"
    return [event["message"] for event in (await api.get(path))["items"]]


async def test_a_job_completes_and_says_so(api: Api) -> None:
    done = await api.run_job("one", pods=3)
    conditions = [condition["type"] for condition in done["status"]["conditions"]]
    assert conditions == ["SuccessCriteriaMet", "Complete"]
    assert done["status"]["completedIndexes"] == "0-2"
    assert await messages(api, "Completed") == ["Job completed"]
    assert len(await messages(api, "SuccessfulCreate")) == 3


async def test_the_events_of_a_pod_come_in_the_kubelets_order(api: Api) -> None:
    version = await api.version()
    await api.run_job("one", pods=1)
    async with api.watch(
        f"{EVENTS}?watch=1&resourceVersion={version}&fieldSelector=involvedObject.kind%3DPod"
    ) as reader:
        seen = [(await reader.next())["object"] for _ in range(5)]
    assert [event["reason"] for event in seen] == ["Scheduled", "Pulling", "Pulled", "Created", "Started"]
    assert seen[1]["message"] == f'Pulling image "{IMAGE}"'
    assert seen[1]["involvedObject"]["fieldPath"] == "spec.containers{pull}"
    assert seen[1]["reportingInstance"] == seen[1]["source"]["host"]


@pytest.mark.parametrize(
    ("version", "pulled", "created"),
    [
        ("1.19", f'Successfully pulled image "{IMAGE}"', "Created container pull"),
        ("1.25", f'Successfully pulled image "{IMAGE}" in 3.', "Created container pull"),
        ("1.27", " including waiting)", "Created container pull"),
        ("1.30", " including waiting). Image size: 3369534 bytes.", "Created container pull"),
        ("1.34", " including waiting). Image size: 3369534 bytes.", "Created container: pull"),
        ("1.35", " including waiting). Image size: 3369534 bytes.", "Container created"),
    ],
)
async def test_each_version_speaks_its_own_words(start: Start, version: str, pulled: str, created: str) -> None:
    api = await start(version=KubernetesVersion.parse(version))
    await api.run_job("one", pods=1)
    assert pulled in (await messages(api, "Pulled"))[0]
    assert await messages(api, "Created") == [created]


async def test_a_second_job_finds_the_image_present(api: Api) -> None:
    await api.run_job("one", pods=4)
    await api.run_job("two", pods=4)
    assert {row["outcome"] for row in await api.truth(job="two")} == {"cached"}
    present = f'Container image "{IMAGE}" already present on machine'
    assert sum(message == present for message in await messages(api, "Pulled")) == 4
    nodes = (await api.get("/api/v1/nodes"))["items"]
    assert all(IMAGE in image["names"] for node in nodes for image in node["status"]["images"])


async def test_cleared_caches_are_cold_and_preloaded_ones_warm(api: Api) -> None:
    await api.post("/sim/cache/preload", {"images": [IMAGE]})
    await api.run_job("one", pods=4)
    assert {row["outcome"] for row in await api.truth(job="one")} == {"cached"}
    assert (await api.post("/sim/cache/clear", {"images": None}))["nodes"] == 4
    assert all(node["status"]["images"] == [] for node in (await api.get("/api/v1/nodes"))["items"])
    await api.run_job("two", pods=4)
    assert {row["outcome"] for row in await api.truth(job="two")} == {"pulled"}


def with_policy(body: dict[str, Any], policy: str, containers: int = 1) -> dict[str, Any]:
    container = {**body["spec"]["template"]["spec"]["containers"][0], "imagePullPolicy": policy}
    named = [{**container, "name": f"c{number}"} for number in range(containers)]
    body["spec"]["template"]["spec"]["containers"] = named
    return body


async def test_always_pulls_what_is_there_in_a_moment(api: Api) -> None:
    await api.post("/sim/cache/preload", {"images": [IMAGE]})
    await api.post(JOBS, with_policy(job("one", pods=1), "Always"))
    await api.quiet()
    (row,) = await api.truth(job="one")
    assert row["outcome"] == "pulled"
    assert row["pull_seconds"] < 1


async def test_never_does_not_pull(api: Api) -> None:
    version = await api.version()
    await api.post(JOBS, with_policy(job("one", pods=1), "Never"))
    path = f"{PODS}?watch=1&resourceVersion={version}"
    async with api.watch(path) as reader:
        while True:
            statuses = (await reader.next())["object"]["status"].get("containerStatuses", [])
            if statuses and statuses[0]["state"].get("waiting", {}).get("reason") == "ErrImageNeverPull":
                break
    assert f'Container image "{IMAGE}" is not present with pull policy of Never' in await messages(
        api, "ErrImageNeverPull"
    )


async def test_the_containers_of_a_pod_are_pulled_one_after_another(api: Api) -> None:
    body = job("one", pods=1)
    images = [IMAGE, IMAGE.replace("1176249324", "2770722493")]
    container = body["spec"]["template"]["spec"]["containers"][0]
    body["spec"]["template"]["spec"]["containers"] = [
        {**container, "name": f"c{number}", "image": image} for number, image in enumerate(images)
    ]
    await api.post(JOBS, body)
    await api.quiet()
    rows = await api.truth(job="one")
    assert [(row["container"], row["image"]) for row in rows] == [("c0", images[0]), ("c1", images[1])]
    pod = (await api.get(PODS))["items"][0]
    statuses = pod["status"]["containerStatuses"]
    assert [status["name"] for status in statuses] == ["c0", "c1"]
    assert all(status["imageID"].startswith(IMAGE.rpartition(":")[0] + "@sha256:") for status in statuses)


async def test_serialised_pulls_wait_and_say_how_long(start: Start) -> None:
    kubelet = replace(EKS.kubelet, serialize_image_pulls=True)
    api = await start(nodes=1, parameters=replace(EKS, kubelet=kubelet))
    await api.run_job("one", pods=2, apart=False)
    waits = sorted(row["waiting_seconds"] for row in await api.truth(outcome="pulled"))
    assert waits[0] == 0
    assert waits[1] > 1


async def test_two_pods_of_a_node_share_one_download(start: Start) -> None:
    api = await start(nodes=1)
    await api.run_job("one", pods=2, apart=False)
    seconds = [row["pull_seconds"] for row in await api.truth(outcome="pulled")]
    assert len(seconds) == 2
    assert seconds[0] == pytest.approx(seconds[1], rel=0.3)


async def test_a_burst_beyond_the_kubelets_rate_fails(start: Start) -> None:
    kubelet = replace(EKS.kubelet, registry_pull_qps=0.01, registry_burst=1)
    api = await start(nodes=1, parameters=replace(EKS, kubelet=kubelet))
    await api.post(JOBS, job("one", pods=2, apart=False, activeDeadlineSeconds=60))
    await api.quiet()
    assert f'Failed to pull image "{IMAGE}": pull QPS exceeded' in await messages(api, "Failed")


async def test_more_than_ten_pods_are_named_only_in_part(start: Start) -> None:
    api = await start(nodes=16)
    await api.run_job("one", pods=16)
    created = await messages(api, "SuccessfulCreate")
    assert sum(message.startswith("Created pod: one-") for message in created) == 9
    assert sum(message.startswith("(combined from similar events): Created pod: one-") for message in created) == 1
    assert len((await api.get(PODS))["items"]) == 16


async def test_one_pod_a_node_where_pods_repel_each_other(start: Start) -> None:
    api = await start(nodes=16)
    await api.run_job("one", pods=16)
    assert len({row["node"] for row in await api.truth()}) == 16


async def test_a_topology_spread_keeps_zones_even(start: Start) -> None:
    api = await start(nodes=9)
    body = job("one", pods=6, apart=False)
    body["spec"]["template"]["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"job-name": "one"}},
        }
    ]
    await api.post(JOBS, body)
    await api.quiet()
    zones = {
        node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for node in (await api.get("/api/v1/nodes"))["items"]
    }
    counts = [zones[row["node"]] for row in await api.truth()]
    assert sorted(counts.count(zone) for zone in set(counts)) == [2, 2, 2]


async def test_without_that_pods_share_nodes(start: Start) -> None:
    api = await start(nodes=16)
    await api.run_job("one", pods=16, apart=False)
    assert len({row["node"] for row in await api.truth()}) < 16


async def test_a_pod_that_fits_nowhere_waits_and_says_why(api: Api) -> None:
    await api.run_job("one", pods=6)
    assert any(
        message.startswith("0/4 nodes are available: 4 node(s) didn't match pod anti-affinity rules.")
        for message in await messages(api, "FailedScheduling")
    )
    # As pods end their nodes are free again.
    assert (await api.get(f"{JOBS}/one"))["status"]["succeeded"] == 6


async def test_a_command_can_sleep_and_fail(api: Api) -> None:
    done = await api.run_job("one", pods=1, command=["sh", "-c", "sleep 100; exit 3"], backoffLimit=0)
    assert done["status"]["failed"] == 1
    state = (await api.get(PODS))["items"][0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert state["exitCode"] == 3


async def test_a_plain_job_runs_too(api: Api) -> None:
    body = job("one", pods=3)
    body["spec"]["completionMode"] = "NonIndexed"
    await api.post(JOBS, body)
    await api.quiet()
    assert (await api.get(f"{JOBS}/one"))["status"]["succeeded"] == 3


async def test_a_finished_job_goes_when_its_time_is_over(api: Api) -> None:
    await api.run_job("one", pods=1, ttlSecondsAfterFinished=60)
    await api.post("/sim/advance", {"seconds": 61})
    await api.quiet()
    assert (await api.get(JOBS))["items"] == []
    assert (await api.get(PODS))["items"] == []


async def test_a_deadline_ends_a_job_that_hangs(api: Api) -> None:
    await api.fault("pull-fails", kind="unauthorized")
    done = await api.run_job("one", pods=2, activeDeadlineSeconds=100)
    assert [c["reason"] for c in done["status"]["conditions"] if c["type"] == "Failed"] == ["DeadlineExceeded"]
    assert (await api.get(PODS))["items"] == []


async def test_the_same_seed_tells_the_same_story(start: Start) -> None:
    stories = []
    for _ in range(2):
        api = await start(nodes=8, seed=5)
        await api.run_job("one", pods=8)
        stories.append(json.dumps([await api.truth(), (await api.get(EVENTS))["items"]], sort_keys=True))
    assert stories[0] == stories[1]


async def test_another_seed_tells_another(start: Start) -> None:
    seconds = []
    for seed in (1, 2):
        api = await start(nodes=8, seed=seed)
        await api.run_job("one", pods=8)
        seconds.append(sorted(row["pull_seconds"] for row in await api.truth()))
    assert seconds[0] != seconds[1]


async def test_the_truth_says_what_the_kubelet_said(api: Api) -> None:
    await api.run_job("one", pods=4)
    said = {event["metadata"]["uid"]: event["message"] for event in (await api.get(EVENTS))["items"]}
    for row in await api.truth():
        assert f"in {format_seconds(row['pull_seconds'])} (" in said[row["event_uid"]]
        assert row["count"] == 1


async def test_many_containers_in_a_pod_cost_events_and_the_truth_keeps_count(api: Api) -> None:
    body = job("one", pods=1)
    container = body["spec"]["template"]["spec"]["containers"][0]
    body["spec"]["template"]["spec"]["containers"] = [
        {**container, "name": f"c{number}", "image": f"registry.example/app:{number}"} for number in range(12)
    ]
    await api.post(JOBS, body)
    await api.quiet()
    rows = await api.truth(job="one", outcome="pulled")
    assert [row["container"] for row in rows] == [f"c{number}" for number in range(12)]
    # Four events a container: the 25 of the spam filter are spent in the seventh.
    assert [row["lost"] for row in rows] == [None] * 6 + ["spam filter"] * 6
    assert len(await messages(api, "Pulled")) == 6


async def test_a_container_that_fails_is_restarted_where_the_pod_asks_for_it(api: Api) -> None:
    await api.fault("pod-fails", times=2)
    body = job("one", pods=1)
    body["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    await api.post(JOBS, body)
    await api.quiet()
    status = (await api.get(PODS))["items"][0]["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["state"]["terminated"]["exitCode"]) == (2, 0)
    assert (await messages(api, "BackOff"))[0].startswith("Back-off restarting failed container pull in pod one-0-")
    assert [row["outcome"] for row in await api.truth(job="one")] == ["pulled", "cached", "cached"]


async def test_pods_held_after_their_start_keep_their_nodes_until_all_siblings_have_one(start: Start) -> None:
    api = await start(nodes=100)
    await api.post("/sim/cache/preload", {"images": [IMAGE]})
    await api.run_job("loose", pods=100)
    body = job("held", pods=100)
    hold = {"postStart": {"sleep": {"seconds": 6}}}
    body["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = hold
    await api.post(JOBS, body)
    await api.quiet()
    nodes = {name: {row["node"] for row in await api.truth(job=name)} for name in ("loose", "held")}
    assert len(nodes["loose"]) < 100, "over before the last one is made, pods share their nodes"
    assert len(nodes["held"]) == 100
    done = await api.get(f"{JOBS}/held")
    pods = (await api.get(f"{PODS}?labelSelector=job-name%3Dheld"))["items"]
    ended = [pod["status"]["containerStatuses"][0]["state"]["terminated"] for pod in pods]
    lived = [datetime.fromisoformat(end["finishedAt"]) - datetime.fromisoformat(end["startedAt"]) for end in ended]
    assert max(lived) < timedelta(seconds=3), "the containers' own times are theirs"
    last = max(datetime.fromisoformat(end["startedAt"]) for end in ended)
    assert datetime.fromisoformat(done["status"]["completionTime"]) - last >= timedelta(seconds=5)
