"""One attempt against a scripted API server: the steps, their order, and what fails it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from driver.clusters.cluster_api import ClusterApi
from driver.clusters.provider import Cluster
from driver.errors import LimitError
from driver.jobs.job_run import JobContext, open_runner
from driver.planning.foretelling import Foreteller
from driver.planning.study import CacheMode, Limits, RunPlan, Study
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import Outcome
from pullstudy.store.embedded.ledger import JobRow, JobState, Ledger
from pullstudy.store.embedded.store import EmbeddedStore
from tests.driver.existing_cluster import ExistingCluster
from tests.driver.kube_objects import COMPLETE, IMAGE, ORIGIN, READY, ROW, job_json, pod_json, pulled, waiting
from tests.driver.scripted_api import ScriptedApi, scripted
from tests.driver.sweeps import RecordedProgress, rows

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"
NODES = "/api/v1/nodes"


class World:
    """All that a JobRunner works with."""

    def __init__(self, directory: Path, script: ScriptedApi, api: ClusterApi) -> None:
        self.directory = directory
        self.script = script
        self.api = api
        self.provider = ExistingCluster()
        self.heard = RecordedProgress()
        self.store = EmbeddedStore(directory, create=True)
        self.ledger = Ledger(directory, create=True)
        self.slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def serve(self, *pods: dict[str, Any], nodes: list[list[str]], gone: bool = True) -> None:
        """A job that completes with these pods; ``nodes`` are the images of both nodes at each look."""
        script = self.script
        script.say(JOBS, job_json(), method="POST")
        script.say(JOBS, {"metadata": {"resourceVersion": "1"}, "items": [job_json(COMPLETE)]})
        script.watch(JOBS, stay=True)
        listed = {"metadata": {"resourceVersion": "1"}, "items": list(pods)}
        script.say(PODS, listed)
        script.watch(PODS, stay=True)
        script.say(PODS, listed)
        if gone:
            script.say(PODS, {"items": []})
        script.say(EVENTS, {"items": []})
        script.watch(EVENTS, stay=True)
        script.say(f"{JOBS}/pull-0", {}, method="DELETE")
        for images in nodes:
            held = [{"names": images}] if images else []
            status = {"images": held, "conditions": [READY]}
            items = [{"metadata": {"name": f"node-{n}"}, "status": status} for n in range(2)]
            script.say(NODES, {"items": items})

    async def run(self, **run: Any) -> JobRow:
        study = Study(
            run=RunPlan(**run), limits=Limits(quiet_seconds=1.0, cache_clear_seconds=5.0, pods_gone_seconds=3.0)
        )
        context = JobContext(
            study=study,
            provider=self.provider,
            cluster=Cluster(name=ORIGIN.cluster, size=2, kubeconfig=self.directory, handle={}),
            api=self.api,
            ledger=self.ledger,
            store=self.store,
            origin=ORIGIN,
            progress=self.heard,
            foreteller=Foreteller(study, "kubeconfig"),
            sleep=self.sleep,
        )
        async with open_runner(context) as runner:
            return await runner.run(ROW, 1, 1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with scripted(tmp_path) as (script, api):
        world = World(tmp_path, script, api)
        yield world
        world.ledger.close()
        world.store.close_now()


async def test_the_job_is_deleted_after_its_account_and_the_cache_cleared_after_that(world: World) -> None:
    world.serve(pod_json(0), pod_json(1), nodes=[[], [IMAGE], [IMAGE], []])
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1))))
    row = await world.run()
    assert row.state is JobState.DONE
    assert world.heard.jobs[0].accounted == "2/2 accounted for"
    assert [images[0] for images in world.provider.cleared] == [IMAGE]
    asked = [line for line in world.script.asked if "@" not in line]
    assert asked.index(f"GET {EVENTS}") < asked.index(f"DELETE {JOBS}/pull-0")
    assert asked[-3:] == [f"GET {NODES}"] * 3
    assert rows(world.directory, "SELECT cache FROM job_nodes") == [("cold",), ("cold",)]


async def test_two_pods_on_one_node_fail_the_repeat_and_keep_its_records(world: World) -> None:
    world.serve(pod_json(0, node="node-0"), pod_json(1, node="node-0"), nodes=[[]])
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1, Outcome.CACHED))))
    row = await world.run()
    assert row.state is JobState.FAILED
    assert row.error == "not one pod a node: node-0 ran two; a longer job.hold_seconds keeps pods apart"
    assert world.heard.jobs[0].accounted == "2/2 accounted for"
    assert rows(world.directory, "SELECT count(*) FROM pulls") == [(2,)]


async def test_a_pod_that_was_taken_away_fails_the_repeat_and_is_no_loss(world: World) -> None:
    evicted = pod_json(0, uid="uid-evicted", waiting=waiting("ContainerCreating", ""))
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "evicting"}
    evicted["status"]["conditions"].append(target)
    world.serve(evicted, pod_json(0), pod_json(1), nodes=[[]])
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1))))
    row = await world.run()
    assert row.state is JobState.FAILED
    assert row.error == "pod pull-0-0-abcde was taken away (EvictionByEvictionAPI): evicting (node node-0)"
    assert world.heard.jobs[0].accounted == "2/2 accounted for"


async def test_pods_on_a_lost_node_are_not_waited_for(world: World) -> None:
    world.serve(pod_json(0), nodes=[[]], gone=False)
    node_1 = {"metadata": {"name": "node-1"}, "status": {"conditions": [READY]}}
    world.script.say(NODES, {"items": [{"metadata": {"name": "node-0"}}, node_1]})
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1))))
    row = await world.run()
    assert row.deleted_at is not None
    assert world.heard.notes == ["  pull-0: pods stay on nodes that are not ready (node-0); going on without them"]


async def test_what_no_event_told_is_recovered_after_the_quiet_time(world: World) -> None:
    world.serve(pod_json(0), pod_json(1), nodes=[[]])
    world.store.write_now(Batch(pulls=(pulled(0),)))
    row = await world.run()
    assert row.state is JobState.DONE
    assert world.heard.jobs[0].accounted == "2/2 accounted for, 1 recovered from pod status"
    assert world.slept >= 1.0


async def test_a_cache_that_is_not_cleared_is_an_error_that_says_how_to_go_on(world: World) -> None:
    world.serve(pod_json(0), pod_json(1), nodes=[[], [IMAGE]])
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1))))
    with pytest.raises(LimitError, match=r"2 of 2 nodes .* run with --cache warm"):
        await world.run()


async def test_warm_caches_are_not_touched(world: World) -> None:
    world.serve(pod_json(0), pod_json(1), nodes=[[IMAGE]])
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1))))
    await world.run(cache=CacheMode.WARM)
    assert world.provider.cleared == []
    assert world.heard.jobs[0].caches == "warm"


async def test_pods_that_stay_after_their_job_are_an_error(world: World) -> None:
    world.serve(pod_json(0), pod_json(1), nodes=[[]], gone=False)
    world.store.write_now(Batch(pulls=(pulled(0), pulled(1))))
    with pytest.raises(LimitError, match="its pods are still there 3 s after"):
        await world.run()
    assert rows(world.directory, "SELECT state FROM jobs") == [("done",)]
