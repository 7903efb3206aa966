"""What is asked of a cluster's own API, once it is up: cleared caches, forgotten nodes, tokens that stay fresh."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from driver.clusters.cluster_api import open_cluster
from driver.clusters.provider import Cluster
from driver.errors import ProviderError
from driver.planning.eks_plan import EksPlan, Mode, Patience
from driver.planning.study import Study
from driver.providers.eks.access import forget_nodes, free_balancers
from driver.providers.eks.control_plane import ControlPlane
from driver.providers.eks.handle import EksHandle, EksStep, decode_handle, encode_handle
from driver.providers.eks.proof import hold_proven, prove
from driver.providers.eks.provider import EksProvider
from driver.providers.eks.tags import Mark
from driver.providers.eks.tunnel import Tunnels
from driver.providers.eks.waiting import EksWaiting
from pullstudy.kube.errors import ApiError
from tests.driver.kube_objects import READY
from tests.driver.scripted_api import ScriptedApi, kubeconfig_of, scripted
from tests.driver.test_held_context import two_clusters

IMAGES = ("docker.io/library/busybox:1.36",)
NODES = {"items": [{"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]}
SETS = "/apis/apps/v1/namespaces/default/daemonsets"
AT = datetime(2026, 1, 1, tzinfo=UTC)


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[ScriptedApi]:
    async with scripted(tmp_path, at_once) as (answers, _):
        yield answers


def cluster(directory: Path, *, own: bool = True, mode: Mode = Mode.PER_SIZE) -> Cluster:
    handle = EksHandle(
        step=EksStep.UP,
        announced_at=AT,
        mark=Mark(study="test", run="abcd", owner="tester", expires_at=AT + timedelta(hours=12)),
        account="123456789012",
        region="us-east-2",
        endpoint="",
        stack="eks-test-1-abcd",
        cluster="eks-test-1-abcd",
        node_group="nodes-1",
        kubeconfig=directory / "kubeconfig",
        own_kubeconfig=own,
        directory=directory,
        plan=EksPlan(mode=mode),
    )
    return Cluster(name="eks-test-1", size=1, kubeconfig=handle.kubeconfig, handle=encode_handle(handle))


def provider(now: datetime = AT) -> EksProvider:
    made = EksProvider(sleep=at_once, now=lambda: now)
    made.knows("eks-test-1", Study())
    return made


async def test_caches_are_cleared_by_the_nodes_own_runtimes(tmp_path: Path, script: ScriptedApi) -> None:
    done = {"name": "clear", "state": {"terminated": {"exitCode": 0, "message": "gone"}}}
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "a"}, "status": {"initContainerStatuses": [done]}}
    script.say("/api/v1/nodes", NODES)
    script.say(SETS, {}, method="POST")
    script.say("/api/v1/namespaces/default/pods", {"items": [pod]})
    assert await provider().clear_cache(cluster(tmp_path), IMAGES) == {"a"}
    assert f"POST {SETS}" in script.asked


def nodes(**labels: str) -> dict[str, Any]:
    return {"items": [{"metadata": {"name": "b", "labels": labels}, "status": {"conditions": [READY]}}]}


async def test_a_kubeconfig_that_leads_to_another_cluster_clears_no_cache_there_and_forgets_no_node(
    tmp_path: Path, script: ScriptedApi
) -> None:
    script.say("/api/v1/nodes", nodes(**{"pullstudy/run": "another", "eks.amazonaws.com/nodegroup": "nodes-1"}))
    script.say(SETS, {}, method="POST")
    other = cluster(tmp_path, own=False, mode=Mode.SHARED)
    said = r"leads to another cluster than eks-test-1-abcd: none of its 1 nodes bears pullstudy/run=abcd; have its"
    with pytest.raises(ProviderError, match=said):
        await provider().clear_cache(other, IMAGES)
    with pytest.raises(ProviderError, match=said):
        await provider().empty(other.name, other.handle)
    assert {asked.partition(" ")[0] for asked in script.asked} == {"GET"}


async def test_a_kubeconfig_that_leads_to_another_cluster_has_no_balancer_deleted(
    tmp_path: Path, script: ScriptedApi
) -> None:
    balancer = {"metadata": {"name": "a", "namespace": "b"}, "spec": {"type": "LoadBalancer"}}
    script.say("/api/v1/nodes", nodes())
    script.say("/api/v1/services", {"items": [balancer]})
    handle = decode_handle(cluster(tmp_path, own=False).handle)
    assert handle is not None
    waiting = EksWaiting(Patience(), now=lambda: AT, sleep=at_once)
    with pytest.raises(ProviderError, match="leads to another cluster"):
        await free_balancers(tmp_path / "kubeconfig", waiting, all_services=False, prove=lambda api: prove(api, handle))
    assert script.asked == ["GET /api/v1/nodes", "GET /sim/state"]


async def test_a_kubeconfig_that_is_proven_clears_the_nodes_of_its_own_node_group_alone(
    tmp_path: Path, script: ScriptedApi
) -> None:
    done = {"name": "clear", "state": {"terminated": {"exitCode": 0, "message": "gone"}}}
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "b"}, "status": {"initContainerStatuses": [done]}}
    asked, manifests = list[str](), list[Any]()

    async def list_nodes(request: web.Request) -> web.StreamResponse:
        asked.append(request.query.get("labelSelector", ""))
        return web.json_response(nodes(**{"pullstudy/run": "abcd"}))

    async def make(request: web.Request) -> web.StreamResponse:
        manifests.append(await request.json())
        return web.json_response({})

    script.answer("/api/v1/nodes", list_nodes)
    script.answer(SETS, make, method="POST")
    script.say("/api/v1/namespaces/default/pods", {"items": [pod]})
    assert await provider().clear_cache(cluster(tmp_path, own=False), IMAGES) == {"b"}
    assert asked == ["", "pullstudy/run=abcd"]
    (made,) = manifests
    assert made["spec"]["template"]["spec"]["nodeSelector"] == {"pullstudy/run": "abcd"}


async def test_a_context_that_is_switched_in_the_middle_leads_to_the_cluster_that_was_proven(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    async with scripted(tmp_path / "1") as (here, _), scripted(tmp_path / "2") as (elsewhere, _):
        urls = [json.loads((tmp_path / n / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"] for n in "12"]
        (tmp_path / "kubeconfig").write_text(json.dumps(two_clusters(urls, "here")))
        here.say("/api/v1/nodes", nodes())  # ours are not listed yet
        here.say("/api/v1/nodes", nodes(**{"pullstudy/run": "abcd"}))
        handle = decode_handle(cluster(tmp_path, own=False).handle)
        assert handle is not None
        waiting = EksWaiting(Patience(), now=lambda: AT, sleep=at_once)
        held, simulated = await hold_proven("eks-test-1", handle, handle.kubeconfig, waiting)
        assert not simulated
        (tmp_path / "kubeconfig").write_text(json.dumps(two_clusters(urls, "elsewhere")))
        next_size, _ = await hold_proven("eks-test-2", handle, held, waiting)
        for kubeconfig in (held, next_size):
            async with open_cluster(kubeconfig, "default") as api:
                assert [node.metadata.name for node in await api.nodes()] == ["b"]
        assert elsewhere.asked == []
        with pytest.raises(ProviderError, match="eks-test-2: list /api/v1/nodes: the API server answered 404"):
            await hold_proven("eks-test-2", handle, handle.kubeconfig, waiting)


async def test_a_simulator_is_told_to_clear_and_told_of(tmp_path: Path, script: ScriptedApi) -> None:
    script.say("/sim/state", {})
    script.say("/sim/cache/clear", {}, method="POST")
    simulated = cluster(tmp_path, own=False)
    assert await provider().clear_cache(simulated, IMAGES) is None
    assert script.asked == ["GET /sim/state", "POST /sim/cache/clear"]
    assert (await provider().environment(simulated))["simulated"] is True
    assert "simulated" not in await provider().environment(cluster(tmp_path))


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_an_api_server_that_tells_strangers_nothing_is_no_simulator(
    tmp_path: Path, script: ScriptedApi, status: int
) -> None:
    script.say("/sim/state", {"code": status, "message": "no"}, status=status)
    assert "simulated" not in await provider().environment(cluster(tmp_path, own=False))


async def test_a_cluster_forgets_its_last_nodes_and_all_their_events(tmp_path: Path, script: ScriptedApi) -> None:
    script.say("/api/v1/nodes", NODES)
    script.say("/api/v1/namespaces", {"items": [{"metadata": {"name": "default"}}, {"metadata": {"name": "x"}}]})
    paths = ["/api/v1/nodes/a", "/api/v1/namespaces/default/events", "/api/v1/namespaces/x/events"]
    for path in paths:
        script.say(path, {}, method="DELETE")
    async with open_cluster(tmp_path / "kubeconfig", "default", sleep=at_once) as api:
        await forget_nodes(api)
    assert [asked for asked in script.asked if asked.startswith("DELETE")] == [f"DELETE {path}" for path in paths]


@pytest.mark.parametrize(("writes", "text"), [(True, "new"), (False, "old")])
async def test_a_kubeconfig_that_was_there_before_the_tunnel_is_taken_when_written_anew_or_left_for_long(
    tmp_path: Path, writes: bool, text: str
) -> None:
    handle = decode_handle(cluster(tmp_path, own=False).handle)
    assert handle is not None
    handle.kubeconfig.write_text("old")
    os.utime(handle.kubeconfig, (0, 0))
    write = "import os, sys; open('draft', 'w').write('new'); os.replace('draft', sys.argv[1]); sys.stdin.read()"
    words = [sys.executable, "-c", write if writes else "import sys; sys.stdin.read()", "{kubeconfig}"]
    handle = msgspec.structs.replace(handle, plan=EksPlan(tunnel=tuple(words)))
    tunnels = Tunnels(asyncio.sleep if writes else at_once)
    plane = ControlPlane(endpoint="", certificate_authority="")
    with chdir(tmp_path):
        try:
            await tunnels.open("eks-test-1", 1, handle, plane)
            assert handle.kubeconfig.read_text() == text
        finally:
            await tunnels.end_all()


async def test_a_cluster_is_ended_when_its_hours_are_over(tmp_path: Path) -> None:
    """Before a janitor does it, in the middle of a job."""
    with pytest.raises(ProviderError, match=r"its 12 h are over \(eks\.ttl_hours\)"):
        await provider(AT + timedelta(hours=12)).lost(cluster(tmp_path))


# Stands for the token command: what it prints was made so many minutes before the clock's now.
AGED = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from driver.providers.eks.token import credential
here = Path(sys.argv[1])
age, asked = json.loads((here / "age").read_text()), here / "asked"
number = int(asked.read_text()) + 1 if asked.exists() else 1
asked.write_text(str(number))
print(json.dumps(credential(f"token-{number}", datetime.now(UTC) - timedelta(minutes=age))))
"""


@pytest.mark.parametrize(("age", "last"), [(7.0, 1), (9.0, 3)])
async def test_a_token_is_renewed_long_before_its_15_minutes_are_over(tmp_path: Path, age: float, last: int) -> None:
    """At 7 minutes it is used again, at 9 each request has a new one."""
    (tmp_path / "age").write_text(json.dumps(age))
    seen: list[str] = []
    async with serving(seen) as url:
        document = kubeconfig_of(url)
        command = {"command": sys.executable, "args": ["-c", AGED, str(tmp_path)], "interactiveMode": "Never"}
        user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", **command}}
        document["users"] = [{"name": "test", "user": user}]
        (tmp_path / "kubeconfig").write_text(json.dumps(document))
        async with open_cluster(tmp_path / "kubeconfig", "default") as api:
            await api.nodes()
            await api.nodes()
    assert seen[-1] == f"Bearer token-{last}"
    assert len(set(seen)) == (1 if last == 1 else 2)


# Its first token is old, the next that is asked for fails so many times.
FAILING = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from driver.providers.eks.token import credential
asked = Path(sys.argv[1]) / "asked"
number = int(asked.read_text()) + 1 if asked.exists() else 1
asked.write_text(str(number))
if 1 < number <= 1 + int(sys.argv[2]):
    sys.exit("AWS sign a token: NoCredentials")
print(json.dumps(credential(f"token-{number}", datetime.now(UTC) - timedelta(minutes=9 if number == 1 else 0))))
"""


@pytest.mark.parametrize(("failures", "patience_seconds"), [(2, 60.0), (99, 0.0)])
async def test_credentials_lost_in_the_middle_are_waited_for_and_then_told(
    tmp_path: Path, failures: int, patience_seconds: float
) -> None:
    seen: list[str] = []
    async with serving(seen) as url:
        document = kubeconfig_of(url)
        command = {"command": sys.executable, "args": ["-c", FAILING, str(tmp_path), str(failures)]}
        user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "interactiveMode": "Never", **command}}
        document["users"] = [{"name": "test", "user": user}]
        (tmp_path / "kubeconfig").write_text(json.dumps(document))
        async with open_cluster(tmp_path / "kubeconfig", "default", sleep=at_once) as api:
            listing = api.list_objects("/x", ("a", "b"), bytes, patience_seconds=patience_seconds)
            if patience_seconds:
                await listing
            else:
                with pytest.raises(ApiError, match=r"renew the token.*NoCredentials"):
                    await listing
    assert seen == (["Bearer token-4"] if patience_seconds else [])


@asynccontextmanager
async def serving(seen: list[str]) -> AsyncIterator[str]:
    """A server that remembers who asked."""

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response(body=msgspec.json.encode({"items": []}))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        yield str(server.make_url(""))
