"""The provider of existing clusters against a scripted API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from driver.provider import ClusterOrder
from driver.providers.kubeconfig.provider import KubeconfigProvider
from driver.study import KubeconfigPlan, Study
from tests.driver.made import READY
from tests.driver.scripted_api import ScriptedApi, scripted

NODES = "/api/v1/nodes"


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


def node(name: str, *conditions: dict[str, str], **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": list(conditions)}}


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[ScriptedApi]:
    async with scripted(tmp_path) as (script, _):
        script.say("/api/v1/namespaces/default", {})
        yield script


def provider(directory: Path) -> KubeconfigProvider:
    return KubeconfigProvider(directory / "kubeconfig", sleep=at_once, draw=lambda: "0a1b2c3d")


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
