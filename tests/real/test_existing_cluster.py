"""``pulldriver sweep --provider kubeconfig`` on two real kubelets, as on a cluster that others use too."""

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.conftest import KUSTOMIZE
from tests.deploy.kubectl import Kubectl
from tests.driver.sweeps import rows
from tests.real.containerd_log import attempts
from tests.real.existing_cluster import NODES, STEP_SECONDS, Existing, ended, stopped
from tests.stack.home import StackHome
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

EVERY_PULL = [(1, 1, "real-1", "pulled"), (1, 2, "real-1", "pulled")]
EVERY_PULL += [(2, repeat, node, "pulled") for repeat in (1, 2) for node in NODES]
ROUNDING_SECONDS = 0.002  # the kubelet cuts to the millisecond
OVERHEAD_SECONDS = 5.0  # of the kubelet around containerd, on a busy machine
POOL = {"spec": {"taints": [{"key": "pool", "value": "study", "effect": "NoSchedule"}]}}


async def test_each_repeat_is_cold_and_containerd_says_so_too(existing: Existing) -> None:
    before = [len(node.containerd.process.output()) for node in existing.machines.nodes]
    code, said = await existing.run(*existing.sweep(existing.study("one", "two", run={"repeats": 2}), "1..2"))
    assert code == 0, said
    assert "12/12 accounted for" in said
    for image in ("one", "two"):
        assert existing.pulls(image) == EVERY_PULL
    for node, start in zip(existing.machines.nodes, before, strict=True):
        lines = attempts(node.containerd.process.output()[start:])
        for image in ("one", "two"):
            reference = existing.reference(image)
            logged = [line.seconds for line in lines if line.image == reference and line.reference]
            sql = "SELECT pull_seconds FROM pulls WHERE image = ? AND node = ? ORDER BY finished_at"
            told = [seconds for (seconds,) in rows(existing.out, sql, reference, node.name)]
            assert len(told) == len(logged)
            for by_kubelet, by_containerd in zip(told, logged, strict=True):
                assert -ROUNDING_SECONDS <= by_kubelet - by_containerd <= OVERHEAD_SECONDS
    assert await existing.study_images() == []
    assert await existing.nothing_left()
    assert rows(existing.out, "SELECT DISTINCT cache FROM job_nodes") == [("cold",)]


async def test_an_image_that_is_there_is_cleared_at_first_and_reported_where_it_is_not(existing: Existing) -> None:
    left_over = existing.reference("three")
    for node in existing.machines.nodes:
        await node.ctr("images", "pull", "--plain-http", left_over)
    code, said = await existing.run(*existing.sweep(existing.study("three"), "2"))
    assert code == 0, said
    assert existing.pulls("three") == [(2, 1, node, "pulled") for node in NODES]
    # A command that clears nothing and says that it did: the next repeat finds the image, and fails for it.
    existing.out = existing.directory / "lied-to"
    study = existing.study("three", run={"repeats": 2}, kubeconfig={"clear_command": ["true", "{node}", "{images}"]})
    code, said = await existing.run(*existing.sweep(study, "1"))
    assert code == 1
    assert [state for state, _ in existing.jobs()] == ["done", "failed"]
    assert existing.jobs()[1][1] == "not cold: real-1 had the image already"
    assert existing.pulls("three") == [(1, 1, "real-1", "pulled"), (1, 2, "real-1", "cached")]


async def test_hooks_make_nodes_come_and_clear_them(existing: Existing, stack_home: StackHome) -> None:
    await existing.patch_node("real-2", {"spec": {"unschedulable": True}})
    kubectl, access = stack_home.program("kubectl"), existing.machines.plane.access.kubeconfig()
    scale = f"test {{size}} = 2 && (sleep 3 && {kubectl} --kubeconfig {access} uncordon real-2) >/dev/null 2>&1 &"
    inside = {node.name: node.machine.inside([]) for node in existing.machines.nodes}
    clear = existing.directory / "clear.py"
    clear.write_text(
        "import subprocess, sys, time\n"
        f"inside = {inside}[sys.argv[1]]\n"
        "def ctr(*words):\n"
        "    done = subprocess.run([*inside, 'ctr', '-n', 'k8s.io', *words], capture_output=True, text=True)\n"
        "    return done.stdout\n"
        "while any(i in ctr('containers', 'ls') for i in sys.argv[2:]):\n"
        "    for line in ctr('containers', 'ls').splitlines():\n"
        "        if any(i in line for i in sys.argv[2:]): ctr('snapshots', 'rm', line.split()[0])\n"
        "    break\n"
        "names = [l.split() for l in ctr('images', 'ls').splitlines()]\n"
        "digests = {n[2] for n in names if n[0] in sys.argv[2:]}\n"
        "ctr('images', 'rm', '--sync', *(n[0] for n in names if n[2] in digests))\n"
    )
    hooks = {
        "scale_command": ["sh", "-c", scale],
        "clear_command": [sys.executable, str(clear), "{node}", "{images}"],
        "cleaner_image": "nowhere.invalid/none:1",
    }
    try:
        study = existing.study("one", run={"repeats": 2}, kubeconfig=hooks)
        code, said = await existing.run(*existing.sweep(study, "2"))
    finally:
        await existing.patch_node("real-2", {"spec": {"unschedulable": None}})
    assert code == 0, said
    assert existing.pulls("one") == [(2, repeat, node, "pulled") for repeat in (1, 2) for node in NODES]


async def test_a_pool_with_a_taint_a_login_and_a_namespace_of_ones_own(existing: Existing) -> None:
    access = existing.machines.plane.access
    await existing.patch_node("real-2", POOL | {"metadata": {"labels": {"pool": "study"}}})
    tolerations = [{"key": "pool", "operator": "Equal", "value": "study", "effect": "NoSchedule"}]
    job = {
        "node_selector": {"pool": "study"},
        "tolerations": tolerations,
        "image_pull_secrets": ["login"],
        "host_network": True,
    }
    tables = {
        "cluster": {"namespace": "measured"},
        "kubeconfig": {"create_namespace": True, "nodes": ["real-2"]},
        "job": job,
    }
    try:
        code, said = await existing.run(*existing.sweep(existing.study("private:one", **tables), "1"))
        assert code == 1, "there is no such secret yet"
        assert [state for state, _ in existing.jobs()] == ["failed"]
        await access.request(
            "POST", "/api/v1/namespaces/measured/secrets", existing.machines.private.pull_secret("login")
        )
        code, said = await existing.run(
            "sweep", "--out", str(existing.out), *existing.sweep(Path(), "1")[3:7], "--resume"
        )
    finally:
        await existing.patch_node("real-2", {"spec": {"taints": None}, "metadata": {"labels": {"pool": None}}})
    assert code == 0, said
    assert existing.pulls("private:one") == [(1, 1, "real-2", "pulled")]
    assert await existing.nothing_left()
    assert (await access.request("GET", "/api/v1/namespaces/measured"))["status"]["phase"] == "Active"


async def test_a_held_pod_ends_later_and_its_containers_own_times_are_theirs(existing: Existing) -> None:
    hold = {"hold_seconds": 6, "command": ["/pause", "exit"], "host_network": True}
    code, said = await existing.run(*existing.sweep(existing.study("one", job=hold), "2"))
    assert code == 0, said
    sql = """SELECT j.hold_seconds, (julianday(p.finished_at) - julianday(p.started_at)) * 86400,
        (julianday(j.completed_at) - julianday(p.finished_at)) * 86400
        FROM job_pods p JOIN jobs j ON j.job = p.job AND j.cluster = p.cluster"""
    found = rows(existing.out, sql)
    assert len(found) == 2
    for held, ran, until_complete in found:
        assert held == 6
        assert ran <= 2, "in whole seconds"
        assert until_complete >= 4.5


async def test_too_many_nodes_are_refused_and_nothing_is_labelled(existing: Existing) -> None:
    code, said = await existing.run(*existing.sweep(existing.study("one"), "3"))
    assert code == 1
    assert "3 nodes are wanted, and 2 of 2 can be had" in said
    assert await existing.nothing_left()


async def test_two_sweeps_at_once_take_different_nodes(existing: Existing) -> None:
    other = Existing(existing.machines, existing.directory / "other")
    other.directory.mkdir()
    first = await existing.start(*existing.sweep(existing.study("one"), "1"))
    second = await other.start(*other.sweep(other.study("two"), "1"))
    for code, said in await asyncio.gather(ended(first), ended(second)):
        assert code == 0, said
    assert Counter(row[2] for row in existing.pulls("one") + other.pulls("two")) == {"real-1": 1, "real-2": 1}


async def test_the_drivers_role_is_enough_and_a_user_without_is_told_the_rule(
    existing: Existing, stack_home: StackHome
) -> None:
    access = existing.machines.plane.access
    code, said = await existing.run(*existing.sweep(existing.study("one"), "1", kubeconfig=access.kubeconfig("guest")))
    assert code == 1
    rule = '{apiGroups: [""], resources: ["nodes"], verbs: ["list"]}'
    assert f"user guest needs a ClusterRole with the rule {rule}" in said
    kubectl = Kubectl(stack_home, access.kubeconfig())
    for part in ("base", "driver"):
        await kubectl.run("apply", "--server-side", "-f", KUSTOMIZE / part / "namespace.yaml")
        await kubectl.run("apply", "--server-side", "-f", KUSTOMIZE / part / "rbac.yaml", *_into(part))
    token = await access.service_account_token("pulldriver", "pulling-study")
    existing.out = existing.directory / "allowed"
    study = existing.study("one", cluster={"namespace": "pulling-study"})
    role = access.kubeconfig_with("pulldriver", {"token": token})
    code, said = await existing.run(*existing.sweep(study, "2", kubeconfig=role))
    assert code == 0, said
    assert [state for state, _ in existing.jobs()] == ["done"]
    assert await existing.nothing_left()


def _into(part: str) -> list[str]:
    return ["--namespace", {"base": "pullstudy", "driver": "pulling-study"}[part]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_however_a_sweep_is_ended_its_labels_and_jobs_go(existing: Existing, number: signal.Signals) -> None:
    process = await existing.start(*existing.sweep(existing.study("one", run={"repeats": 50}), "2"))
    await existing.pods_pulling(1)
    code, said = await stopped(process, number)
    if number is signal.SIGKILL:
        assert await existing.labelled() == list(NODES)
        code, said = await existing.run("down", "--out", str(existing.out))
        assert code == 0, said
    else:
        assert code == 130, said
    assert await existing.labelled() == []

    async def gone() -> bool:
        return await existing.nothing_left()

    await until(gone, STEP_SECONDS, "what the sweep made to go")
