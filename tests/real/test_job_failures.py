"""What goes wrong with jobs on real kubelets: the record says which, and the sweep goes on or stops as the study says.

The private registry is frozen where a pull has to be under way: it answers nobody until it is thawed, and no pull ends.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.driver.sweeps import rows
from tests.real.existing_cluster import NODES, STEP_SECONDS, Existing, ended
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

LOGIN = {"image_pull_secrets": ["login"], "command": ["/pause", "exit"], "host_network": True}
TAINT = {"spec": {"taints": [{"key": "busy", "effect": "NoSchedule"}]}}


@pytest.fixture
async def logged_in(existing: Existing) -> Existing:
    """With the private registry's password in the namespace of the jobs."""
    secret = existing.machines.private.pull_secret("login")
    path = "/api/v1/namespaces/default/secrets"
    found = (await existing.machines.plane.access.request("GET", path))["items"]
    if not any(item["metadata"]["name"] == "login" for item in found):
        await existing.machines.plane.access.request("POST", path, secret)
    return existing


@pytest.fixture
def frozen(logged_in: Existing) -> Iterator[Existing]:
    """The private registry says nothing until it is thawed, which the test may do."""
    logged_in.machines.private.freeze()
    yield logged_in
    logged_in.machines.private.thaw()


def states(existing: Existing) -> list[str]:
    return [state for state, _ in existing.jobs()]


def ended_badly(jobs: list[tuple[str, str]], count: int) -> bool:
    return len(jobs) >= count and all(state == "failed" for state, _ in jobs[:count])


async def test_images_that_never_pull_fail_their_jobs_and_the_next_goes_on(existing: Existing) -> None:
    study = existing.study("missing", "private:one", "one")
    code, said = await existing.run(*existing.sweep(study, "2"))
    assert code == 1, said
    (first, not_found), (second, refused), (third, _) = existing.jobs()
    assert (first, second, third) == ("failed", "failed", "done")
    assert not_found.startswith("not-found: ")
    assert existing.reference("missing") in not_found
    assert refused.startswith("unauthorized: ")
    assert "on node real-" in refused
    assert {outcome for (outcome,) in rows(existing.out, "SELECT DISTINCT outcome FROM pulls")} >= {"failed", "pulled"}
    assert await existing.nothing_left()


async def test_pods_that_may_not_be_made_or_lack_their_command_fail_the_job_in_the_servers_words(
    existing: Existing,
) -> None:
    strict = {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    await existing.machines.plane.access.request("POST", "/api/v1/namespaces", {"metadata": strict})
    study = existing.study("one", cluster={"namespace": "strict"}, run={"cache": "warm"}, limits={"stuck_seconds": 3.0})
    code, said = await existing.run(*existing.sweep(study, "1"))
    assert code == 1, said
    assert 'pods cannot be made: Error creating: pods "pull-' in existing.jobs()[0][1]
    assert 'violates PodSecurity "restricted:latest"' in existing.jobs()[0][1]
    existing.out = existing.directory / "no-command"
    study = existing.study("one", job={"command": ["no-such-command"], "backoff_limit": 0})
    code, said = await existing.run(*existing.sweep(study, "1"))
    assert code == 1, said
    assert "1 pod ended with code 128 (StartError): " in existing.jobs()[0][1]
    assert '"no-such-command": executable file not found' in existing.jobs()[0][1]
    assert await existing.nothing_left()


async def test_a_time_out_is_told_and_the_pull_that_outlives_its_job_warms_no_repeat(frozen: Existing) -> None:
    run = {"repeats": 2}
    study = frozen.study("private:two", job=LOGIN, run=run, limits={"job_seconds": 8.0})
    process = await frozen.start(*frozen.sweep(study, "2"))
    await frozen.until_jobs(lambda jobs: ended_badly(jobs, 1), "the first repeat to time out")
    # Its pods are gone, and their kubelets still wait for the registry.
    frozen.machines.private.thaw()
    code, said = await ended(process)
    assert code == 1, said
    (first, error), (second, _) = frozen.jobs()
    assert (first, second) == ("failed", "done")
    assert error.startswith("DeadlineExceeded: ")
    assert "2 pods still without the image" in error
    sql = "SELECT j.repeat, n.cache FROM job_nodes n JOIN jobs j ON j.job = n.job ORDER BY 1"
    assert rows(frozen.out, sql) == [(1, "cold"), (1, "cold"), (2, "cold"), (2, "cold")]
    assert [row[1:] for row in frozen.pulls("private:two") if row[1] == 2] == [
        (2, "real-1", "pulled"),
        (2, "real-2", "pulled"),
    ]


async def test_an_evicted_pod_fails_the_repeat_that_went_on_without_it(frozen: Existing) -> None:
    process = await frozen.start(*frozen.sweep(frozen.study("private:one", "private:two", job=LOGIN), "2"))
    pod = (await frozen.pods_pulling(2))[0]["metadata"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["name"], "namespace": pod["namespace"]},
    }
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}"
    await frozen.machines.plane.access.request("POST", f"{path}/eviction", eviction)
    frozen.machines.private.thaw()
    code, said = await ended(process)
    assert code == 1, said
    assert states(frozen) == ["failed", "done"]
    assert f"pod {pod['name']} was taken away (EvictionByEvictionAPI)" in frozen.jobs()[0][1]


async def test_pods_that_find_no_node_end_their_job_and_the_sweep_where_the_study_says_so(frozen: Existing) -> None:
    study = frozen.study(
        "private:one", "private:two", "one", job=LOGIN, run={"on_failure": "stop"}, limits={"stuck_seconds": 3.0}
    )
    process = await frozen.start(*frozen.sweep(study, "2"))
    await frozen.pods_pulling(2)
    for node in NODES:
        await frozen.patch_node(node, TAINT)
    try:
        frozen.machines.private.thaw()
        code, said = await ended(process)
    finally:
        for node in NODES:
            await frozen.patch_node(node, {"spec": {"taints": None}})
    assert code == 1, said
    assert states(frozen) == ["done", "failed"], "the third was never begun"
    assert "has no node: Unschedulable: 0/2 nodes are available" in frozen.jobs()[1][1]
    assert await frozen.nothing_left()


async def test_a_node_that_is_lost_in_the_middle_is_named_and_takes_part_again_when_it_is_back(
    frozen: Existing,
) -> None:
    study = frozen.study("private:three", "two", "one", job=LOGIN, limits={"stuck_seconds": 3.0})
    lost = frozen.machines.nodes[1]
    process = await frozen.start(*frozen.sweep(study, "2"))
    await frozen.pods_pulling(2)
    lost.kill()
    frozen.machines.private.thaw()
    try:
        await frozen.until_jobs(lambda jobs: ended_badly(jobs, 1), "the job to be given up")
        await frozen.until_jobs(lambda jobs: ended_badly(jobs, 2), "the next one too, with one node")
    finally:
        await lost.start()
    code, said = await ended(process)
    assert code == 1, said
    assert states(frozen) == ["failed", "failed", "done"]
    assert "its node real-2 is lost (not ready)" in frozen.jobs()[0][1]
    assert frozen.pulls("one") == [(2, 1, "real-1", "pulled"), (2, 1, "real-2", "pulled")]
    assert await settled(frozen) == []


async def settled(existing: Existing) -> list[dict[str, Any]]:
    """The study's pods that are left, once the node has seen to those that it had when it was lost."""
    left: list[dict[str, Any]] = []

    async def none() -> bool:
        path = "/api/v1/pods?labelSelector=batch.kubernetes.io%2Fjob-name"
        left[:] = (await existing.machines.plane.access.request("GET", path))["items"]
        await asyncio.sleep(0.5)
        return not left

    await until(none, STEP_SECONDS, "the lost node's pods to go")
    return left
