"""The DaemonSet that removes images from nodes: what it is, when it is done, and what it says when it is not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from driver.clusters.cluster_api import ClusterApi
from driver.errors import ProviderError
from driver.planning.study import KubeconfigPlan
from driver.providers.kubeconfig.cleaner import Cleaner, script
from tests.driver.kube_objects import READY
from tests.driver.scripted_api import ScriptedApi, scripted

SETS = "/apis/apps/v1/namespaces/default/daemonsets"
PODS = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"
NODES = "/api/v1/nodes"
DEPLOY = Path(__file__).parents[2] / "deploy"
RUN = {"pullstudy.io/run": "kube-pulling-study-4-0a1b2c3d"}
NAME = "pullstudy-clear-x0a1b2c3d"


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def script_of(tmp_path: Path) -> AsyncIterator[tuple[ScriptedApi, Cleaner]]:
    async with scripted(tmp_path, at_once) as (answers, api):
        answers.say(SETS, {}, method="POST")
        answers.say(f"{SETS}/{NAME}", {}, method="DELETE")
        yield answers, cleaner(api)


def cleaner(api: ClusterApi, **more: Any) -> Cleaner:
    plan = KubeconfigPlan()
    return Cleaner(
        api,
        RUN,
        image=plan.cleaner_image,
        socket=plan.runtime_socket,
        limit_seconds=600.0,
        sleep=at_once,
        draw=lambda: "0a1b2c3d",
        **more,
    )


def clearing(node: str, **state: Any) -> dict[str, Any]:
    """A pod of the DaemonSet on a node; ``state`` is its clearing's."""
    status = {"name": "clear", **state}
    return {"metadata": {"name": node}, "spec": {"nodeName": node}, "status": {"initContainerStatuses": [status]}}


def ended(code: int, said: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": said}}


def waits(reason: str, message: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


async def test_it_is_done_when_every_node_says_so_and_then_taken_away(script_of: tuple[ScriptedApi, Cleaner]) -> None:
    answers, cleaner = script_of
    answers.say(PODS, {"items": [clearing("a", state=ended(0)), clearing("b", state={"running": {}})]})
    answers.say(PODS, {"items": [clearing("a", state=ended(0)), clearing("b", state=ended(0))]})
    assert await cleaner.clear(["busybox"], 2) == {"a", "b"}
    assert answers.asked == [f"POST {SETS}", f"GET {PODS}", f"GET {PODS}", f"DELETE {SETS}/{NAME}"]


@pytest.mark.parametrize(
    "state",
    [
        {"state": ended(1, "in use by pod other/web-1")},
        {"state": waits("CrashLoopBackOff", "back-off"), "lastState": ended(1, "in use by pod other/web-1")},
    ],
)
async def test_a_node_that_cannot_be_cleared_says_why(
    script_of: tuple[ScriptedApi, Cleaner], state: dict[str, Any]
) -> None:
    answers, cleaner = script_of
    answers.say(PODS, {"items": [clearing("a", state=ended(0)), clearing("b", **state)]})
    with pytest.raises(ProviderError, match="node b: in use by pod other/web-1"):
        await cleaner.clear(["busybox"], 2)
    assert answers.asked[-1] == f"DELETE {SETS}/{NAME}"


async def test_a_namespace_that_allows_no_such_pod_is_told_at_once(script_of: tuple[ScriptedApi, Cleaner]) -> None:
    answers, cleaner = script_of
    said = 'pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces'
    about = [{"involvedObject": {"name": name}, "message": f"Error creating: {said}"} for name in ("other", NAME)]
    answers.say(PODS, {"items": []})
    answers.say(EVENTS, {"items": about})
    with pytest.raises(ProviderError, match=r"violates PodSecurity .* or set kubeconfig\.clear_command"):
        await cleaner.clear(["busybox"], 2)


async def test_a_node_that_is_lost_meanwhile_is_not_waited_for(script_of: tuple[ScriptedApi, Cleaner]) -> None:
    answers, cleaner = script_of
    answers.say(PODS, {"items": [clearing("a", state=ended(0)), clearing("b", state={"running": {}})]})
    ready = {"metadata": {"name": "a"}, "status": {"conditions": [READY]}}
    answers.say(NODES, {"items": [ready, {"metadata": {"name": "b"}, "status": {"conditions": [READY]}}]})
    answers.say(NODES, {"items": [ready, {"metadata": {"name": "b"}}]})
    assert await cleaner.clear(["busybox"], 2) == {"a"}


async def test_at_the_limit_the_node_that_is_waited_for_is_named(script_of: tuple[ScriptedApi, Cleaner]) -> None:
    answers, cleaner = script_of
    nodes = [{"metadata": {"name": name}, "status": {"conditions": [READY]}} for name in ("a", "b")]
    answers.say(NODES, {"items": nodes})
    stuck = clearing("b", state=waits("ImagePullBackOff", 'Back-off pulling image "busybox"'))
    answers.say(PODS, {"items": [clearing("a", state=ended(0)), stuck]})
    with pytest.raises(ProviderError, match=r"1 of 2 nodes are clear after 600 s; node b: ImagePullBackOff: Back-off"):
        await cleaner.clear(["busybox"], 2)


async def test_at_the_limit_a_quota_that_lets_too_few_be_made_is_told(script_of: tuple[ScriptedApi, Cleaner]) -> None:
    answers, cleaner = script_of
    nodes = [{"metadata": {"name": name}, "status": {"conditions": [READY]}} for name in ("a", "b")]
    answers.say(NODES, {"items": nodes})
    answers.say(PODS, {"items": [clearing("a", state=ended(0))]})
    said = "exceeded quota: compute, requested: pods=1, used: pods=5, limited: pods=5"
    answers.say(EVENTS, {"items": [{"involvedObject": {"name": NAME}, "message": f"Error creating: {said}"}]})
    with pytest.raises(ProviderError, match="exceeded quota: compute"):
        await cleaner.clear(["busybox"], 2)


async def test_the_manifest_in_deploy_is_the_one_that_is_made(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (_, api):
        made = cleaner(api).manifest(NAME, ["registry.example/the-study/image:tag"])
    clear = made["spec"]["template"]["spec"]["initContainers"][0]
    assert clear["command"][2] == script()
    clear["command"][2] = "the script"
    assert yaml.safe_load((DEPLOY / "cache-clear.yaml").read_text()) == made


async def test_images_are_named_as_the_runtime_names_them(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (_, api):
        made = cleaner(api).manifest(NAME, ["busybox", "quay.io/a/b:1"])
    command = made["spec"]["template"]["spec"]["initContainers"][0]["command"]
    assert command[3:] == ["clear", "docker.io/library/busybox:latest", "quay.io/a/b:1"]


async def test_where_a_quota_asks_for_requests_each_container_has_those_of_the_study(tmp_path: Path) -> None:
    wanted = {"requests": {"cpu": "10m"}}
    async with scripted(tmp_path) as (_, api):
        spec = cleaner(api, resources=wanted).manifest(NAME, ["busybox"])["spec"]["template"]["spec"]
    assert [container["resources"] for container in (*spec["initContainers"], *spec["containers"])] == [wanted, wanted]
