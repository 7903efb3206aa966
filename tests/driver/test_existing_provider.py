"""The provider of existing clusters against a scripted API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.study import KubeconfigPlan, Study
from driver.providers.kubeconfig.nodes import RUN_LABEL
from driver.providers.kubeconfig.provider import KubeconfigProvider
from tests.driver.kube_objects import READY
from tests.driver.scripted_api import ScriptedApi, scripted

NODES = "/api/v1/nodes"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
DRAWN = "0a1b2c3d"


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


def node(name: str, *conditions: dict[str, str], run: str | None = None) -> dict[str, Any]:
    labels = {RUN_LABEL: run} if run else {}
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": list(conditions)}}


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[ScriptedApi]:
    async with scripted(tmp_path) as (script, _):
        script.say("/api/v1/namespaces/default", {})
        yield script


def provider(directory: Path) -> KubeconfigProvider:
    return KubeconfigProvider(directory / "kubeconfig", sleep=at_once, draw=lambda: DRAWN)


def order(directory: Path, size: int, **plan: Any) -> ClusterOrder:
    study = Study(kubeconfig=KubeconfigPlan(**plan))
    return ClusterOrder(name=f"kube-test-{size}", size=size, study=study, directory=directory / "out")


async def test_a_node_that_is_lost_is_no_reason_for_a_command_that_clears_caches_to_fail(
    script: ScriptedApi, tmp_path: Path
) -> None:
    script.say(NODES, {"items": [node("a", READY), node("b", READY)]})
    script.say(NODES, {"items": [node("a", READY), node("b")]})
    for name in "ab":
        script.say(f"{NODES}/{name}", {}, method="PATCH")
    existing = provider(tmp_path)
    cluster = await existing.up(order(tmp_path, 2, clear_command=("test", "{node}", "=", "a")), lambda handle: None)
    assert await existing.clear_cache(cluster, ("busybox",)) == {"a"}


async def test_two_runs_that_choose_at_the_same_moment_do_not_get_the_same_node(
    script: ScriptedApi, tmp_path: Path
) -> None:
    script.say(NODES, {"items": [node(name, READY) for name in "abc"]})
    taken = [node("a", READY, run=f"kube-test-2-{DRAWN}"), node("b", READY, run="theirs"), node("c", READY)]
    script.say(NODES, {"items": taken})
    script.say(NODES, {"items": [node("a", READY), node("b", READY, run="theirs"), node("c", READY)]})
    for name in "abc":
        if name == "b":
            script.say(f"{NODES}/b", {"code": 409, "message": "modified"}, status=409, method="PATCH")
        script.say(f"{NODES}/{name}", {}, method="PATCH")
    saved: list[Handle] = []
    cluster = await provider(tmp_path).up(order(tmp_path, 2), saved.append)
    assert list(cluster.handle["nodes"]) == ["a", "c"]
    assert [list(handle["nodes"]) for handle in saved] == [[], ["a", "b"], ["a", "c"]]
    assert [line for line in script.asked if "PATCH" in line] == [
        *(f"PATCH {NODES}/{name}" for name in "ab"),
        f"PATCH {NODES}/a",  # unlabelled
        *(f"PATCH {NODES}/{name}" for name in "ac"),
    ]


async def test_a_node_whose_labelling_was_done_and_the_answer_lost_is_ours(script: ScriptedApi, tmp_path: Path) -> None:
    script.say(NODES, {"items": [node("a", READY)]})
    script.say(NODES, {"items": [node("a", READY, run=f"kube-test-1-{DRAWN}")]})
    script.say(f"{NODES}/a", {"code": 504, "message": "timed out"}, status=504, method="PATCH")
    script.say(f"{NODES}/a", {"code": 409, "message": "modified"}, status=409, method="PATCH")
    cluster = await provider(tmp_path).up(order(tmp_path, 1), lambda handle: None)
    assert list(cluster.handle["nodes"]) == ["a"]


async def test_labels_go_also_where_jobs_may_not_be_deleted_and_the_commands_that_do_it_are_said(
    script: ScriptedApi, tmp_path: Path
) -> None:
    script.say(NODES, {"items": [node("a", READY)]})
    script.say(f"{NODES}/a", {}, method="PATCH")
    said = 'jobs.batch is forbidden: User "eve" cannot deletecollection resource "jobs" in API group "batch"'
    script.say(JOBS, {"code": 403, "message": f'{said} in the namespace "default"'}, status=403, method="DELETE")
    existing = provider(tmp_path)
    cluster = await existing.up(order(tmp_path, 1), lambda handle: None)
    mine = rf"-l pullstudy\.io/run=kube-test-1-{DRAWN}"
    ways = rf"kubectl label nodes {mine} pullstudy\.io/run-; kubectl delete jobs,daemonsets -n default {mine}"
    with pytest.raises(ProviderError, match=rf"user eve needs a Role .*: {ways}"):
        await existing.down(cluster.name, cluster.handle)
    assert script.asked[-1] == f"PATCH {NODES}/a"


async def test_who_clears_by_a_command_needs_no_right_to_daemon_sets(script: ScriptedApi, tmp_path: Path) -> None:
    script.say(NODES, {"items": [node("a", READY)]})
    script.say(f"{NODES}/a", {}, method="PATCH")
    script.say(JOBS, {}, method="DELETE")
    existing = provider(tmp_path)
    cluster = await existing.up(order(tmp_path, 1, clear_command=("true",)), lambda handle: None)
    await existing.down(cluster.name, cluster.handle)
    assert [line for line in script.asked if "DELETE" in line] == [f"DELETE {JOBS}"]
