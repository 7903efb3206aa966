"""Which nodes are cleared when, and whose word counts for what they hold."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from driver.clusters.cluster_api import ClusterApi
from driver.clusters.provider import Cluster
from driver.jobs.node_caches import NodeCaches
from driver.planning.study import CacheMode, Images, RunPlan, Study
from pullstudy.pulls.cache import CacheState
from pullstudy.store.embedded.ledger import Ledger
from tests.driver.existing_cluster import ExistingCluster
from tests.driver.kube_objects import IMAGE, READY, ROW
from tests.driver.scripted_api import ScriptedApi, scripted

NODES = "/api/v1/nodes"
OTHER = "quay.io/study/other:1"
HERE = msgspec.structs.replace(ROW, cluster="kube-test-2")


class World:
    """An API server with two nodes, and the caches as a job's runner keeps them."""

    def __init__(self, directory: Path, script: ScriptedApi, api: ClusterApi) -> None:
        self._directory = directory
        self._api = api
        self.ledger = Ledger(directory, create=True)
        self.images: tuple[str, ...] = ()  # that both nodes list
        self.lost: tuple[str, ...] = ()
        script.answer(NODES, self._nodes)

    async def _nodes(self, request: web.Request) -> web.StreamResponse:
        names = ("node-0", "node-1")
        ready = {name: [] if name in self.lost else [READY] for name in names}
        images = [{"names": list(self.images)}] if self.images else []
        return web.json_response(
            {
                "items": [
                    {"metadata": {"name": name}, "status": {"images": images, "conditions": ready[name]}}
                    for name in names
                ]
            }
        )

    def caches(self, provider: ExistingCluster, cache: CacheMode = CacheMode.COLD) -> NodeCaches:
        study = Study(
            images=Images(repository="ghcr.io/study/images", tags=(IMAGE.rpartition(":")[2],), more=(OTHER,)),
            run=RunPlan(cache=cache),
        )
        cluster = Cluster(name=HERE.cluster, size=2, kubeconfig=self._directory, handle={})
        return NodeCaches(
            study,
            provider,
            cluster,
            self._api,
            self.ledger,
            doing=lambda what: None,
            sleep=lambda seconds: asyncio.sleep(0),
        )


class Claiming(ExistingCluster):
    """A cluster that was there before, whose runtimes say what they removed: what was ready."""

    lasting = True

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> frozenset[str]:
        await super().clear_cache(cluster, images)
        cleared = frozenset({"node-0", "node-1"} - set(self._world.lost))
        self._world.lost = ()  # and back again
        return cleared


class Emptying(ExistingCluster):
    """A cluster of the sweep's own: its kubelets' lists tell what was removed."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> None:
        await super().clear_cache(cluster, images)
        self._world.images = ()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with scripted(tmp_path) as (script, api):
        world = World(tmp_path, script, api)
        yield world
        world.ledger.close()


async def test_a_cluster_that_was_there_before_is_cleared_whatever_its_nodes_list(world: World) -> None:
    provider = Claiming(world)
    assert await world.caches(provider).before(HERE) == {"node-0": CacheState.COLD, "node-1": CacheState.COLD}
    assert provider.cleared == [(IMAGE, OTHER)]


async def test_a_new_cluster_is_cleared_only_of_what_its_nodes_list(world: World) -> None:
    new = Emptying(world)
    await world.caches(new).before(HERE)
    assert new.cleared == []
    world.images = (OTHER,)
    built_in = Emptying(world)
    await world.caches(built_in).before(HERE)
    assert built_in.cleared == [(IMAGE, OTHER)]


async def test_what_a_runtime_removed_is_gone_though_the_kubelet_still_lists_it(world: World) -> None:
    caches = world.caches(Claiming(world))
    world.images = (IMAGE,)
    assert set((await caches.before(HERE)).values()) == {CacheState.COLD}
    await caches.after(HERE)
    assert set((await caches.before(HERE)).values()) == {CacheState.COLD}


async def test_a_node_that_was_lost_while_the_others_were_cleared_is_cleared_when_it_is_back(world: World) -> None:
    provider = Claiming(world)
    caches = world.caches(provider)
    await caches.before(HERE)
    world.images, world.lost = (IMAGE,), ("node-1",)
    await caches.after(HERE)
    assert len(provider.cleared) == 2
    assert set((await caches.before(HERE)).values()) == {CacheState.COLD}
    assert len(provider.cleared) == 3


async def test_warm_caches_are_looked_at_and_left(world: World) -> None:
    provider = Claiming(world)
    caches = world.caches(provider, CacheMode.WARM)
    world.images = (OTHER,)
    assert set((await caches.before(HERE)).values()) == {CacheState.COLD}
    world.images = (IMAGE,)
    await caches.after(HERE)
    assert set((await caches.before(HERE)).values()) == {CacheState.WARM}
    assert provider.cleared == []
