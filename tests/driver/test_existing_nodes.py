"""Existing clusters: what is chosen and said, without a server."""

import os
import signal
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest

from driver.errors import ProviderError
from driver.jobs.job import job_manifest
from driver.jobs.job_watch import troubles
from driver.planning.study import JobPlan, KubeconfigPlan, Overrides, Study, load_study
from driver.providers.kubeconfig.commands import fill, run_command
from driver.providers.kubeconfig.nodes import RUN_LABEL, choose_nodes
from driver.providers.kubeconfig.permissions import provider_errors
from pullstudy.kube.errors import ApiError
from pullstudy.kube.objects import Node
from pullstudy.pulls.pod import Pod
from tests.driver.kube_objects import READY, pod, pod_json, waiting
from tests.stack.wait import until


def labelled(name: str, labels: dict[str, str], *taints: dict[str, str]) -> Node:
    metadata, spec = {"name": name, "labels": labels}, {"taints": list(taints)}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": {"conditions": [READY]}}, Node)


GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


def test_nodes_of_other_runs_and_of_taints_not_tolerated_are_left_alone() -> None:
    nodes = [labelled("c", {}), labelled("b", {}, GPU), labelled("a", {RUN_LABEL: "other"}), labelled("d", {})]
    assert choose_nodes(nodes, Study(), 2) == ["c", "d"]
    tolerant = Study(job=JobPlan(tolerations=({"key": "gpu", "operator": "Exists"},)))
    assert choose_nodes(nodes, tolerant, 3) == ["b", "c", "d"]
    with pytest.raises(
        ProviderError, match=r"3 nodes are wanted, and 2 of 4 can be had: 1 cordoned .*, 1 of another run"
    ):
        choose_nodes(nodes, Study(), 3)


def test_only_nodes_with_the_selected_labels_are_chosen() -> None:
    nodes = [labelled("a", {"pool": "x"}), labelled("b", {"pool": "y"})]
    assert choose_nodes(nodes, Study(job=JobPlan(node_selector={"pool": "y"})), 1) == ["b"]


def test_only_named_nodes_are_chosen_where_some_are_named() -> None:
    nodes = [labelled("a", {}), labelled("b", {}), labelled("c", {})]
    study = Study(kubeconfig=KubeconfigPlan(nodes=("c", "b")))
    assert choose_nodes(nodes, study, 2) == ["b", "c"]
    with pytest.raises(ProviderError, match=r"2 of 3 can be had: 1 not named in kubeconfig\.nodes;"):
        choose_nodes(nodes, study, 3)


def test_a_taint_keeps_pods_off_whether_it_also_drives_them_away_or_not() -> None:
    nodes = [labelled("a", {}, {"key": "spot", "effect": "NoExecute"}), labelled("b", {}, GPU), labelled("c", {})]
    assert choose_nodes(nodes, Study(), 1) == ["c"]
    preferred = [labelled("a", {}, {"key": "spot", "effect": "PreferNoSchedule"})]
    assert choose_nodes(preferred, Study(), 1) == ["a"]


def test_a_node_that_runs_no_linux_is_left_alone() -> None:
    status = msgspec.structs.replace(labelled("a", {}).status, node_info={"operatingSystem": "windows"})
    nodes = [msgspec.structs.replace(labelled("a", {}), status=status), labelled("b", {})]
    assert choose_nodes(nodes, Study(), 1) == ["b"]
    with pytest.raises(ProviderError, match="1 of 2 can be had: 1 not Linux;"):
        choose_nodes(nodes, Study(), 2)


def test_a_toleration_of_every_effect_may_say_so_by_an_empty_one() -> None:
    tolerant = Study(job=JobPlan(tolerations=({"key": "gpu", "operator": "Exists", "effect": ""},)))
    assert choose_nodes([labelled("a", {}, GPU)], tolerant, 1) == ["a"]


def test_what_a_cluster_asks_of_pods_is_in_them_beside_what_is_measured() -> None:
    plan = JobPlan(pod={"priorityClassName": "low"}, container={"securityContext": {"runAsNonRoot": True}})
    spec = job_manifest(Study(job=plan), "pull-0", "scratch:1", 4)["spec"]["template"]["spec"]
    assert spec["priorityClassName"] == "low"
    assert spec["containers"][0]["securityContext"] == {"runAsNonRoot": True}
    assert spec["containers"][0]["image"] == "scratch:1"
    assert spec["affinity"]


def test_the_documented_study_of_a_shared_cluster_is_one(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
    path = tmp_path / "study.toml"
    path.write_text(document.partition("```toml\n")[2].partition("```")[0])
    study = load_study(path, Overrides())
    pool = {"key": "pool", "value": "pulling", "effect": "NoSchedule"}
    nodes = [labelled("a", {"pool": "pulling"}, pool), labelled("b", {"pool": "pulling"}), labelled("c", {})]
    assert choose_nodes(nodes, study, 2) == ["a", "b"]


def test_a_refusal_names_the_rule_that_would_allow_it() -> None:
    said = 'nodes "a" is forbidden: User "eve" cannot patch resource "nodes" in API group "" at the cluster scope'
    rule = r'user eve needs a ClusterRole with the rule .*"nodes".*"patch"'
    with pytest.raises(ProviderError, match=rule), provider_errors():
        raise ApiError("patch node a", 403, said)


def test_words_are_filled_and_images_become_words() -> None:
    words = ("ssh", "{node}", "rmi", "{images}")
    assert list(fill(words, images=("x:1", "y:2"), node="n")) == ["ssh", "n", "rmi", "x:1", "y:2"]
    assert list(fill(("--nodes={size}",), size=4)) == ["--nodes=4"]


async def test_a_command_that_fails_says_its_last_line() -> None:
    with pytest.raises(ProviderError, match="scaling: sh ended with code 3: no such pool"):
        await run_command("scaling", ["sh", "-c", "echo hello; echo no such pool >&2; exit 3"], 30.0)
    with pytest.raises(ProviderError, match="scaling: /nowhere: No such file"):
        await run_command("scaling", ["/nowhere"], 30.0)


async def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(ProviderError, match="scaling: sh did not end within 1 s"):
        await run_command("scaling", ["sh", "-c", f"sleep 600 & echo $! $$ > {pids}; wait"], 1.0)
    for pid in pids.read_text().split():
        await until(partial(_is_over, int(pid)), 20.0, f"process {pid} to end")


async def test_what_a_command_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    await run_command("scaling", ["sh", "-c", f"sleep 600 & echo $! > {pid}"], 30.0)
    left = int(pid.read_text())
    assert not await _is_over(left)
    os.kill(left, signal.SIGKILL)


async def test_no_command_has_a_terminal_at_which_it_could_ask() -> None:
    with pytest.raises(ProviderError, match=r"code 1: .*tty"):
        await run_command("clearing", ["sh", "-c", "read answer < /dev/tty || exit 1"], 30.0)


async def _is_over(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_pods_of_a_failed_job_say_what_they_wait_for() -> None:
    back_off = waiting("ImagePullBackOff", 'Back-off pulling image "x"')
    evicted = msgspec.structs.replace(
        pod(2), status=msgspec.structs.replace(pod(2).status, reason="Evicted", message="The node was low on resource")
    )
    pulling = pod(4, waiting=waiting("ContainerCreating", ""))
    assert troubles([pod(0, waiting=back_off), pod(1, waiting=back_off), evicted, pod(3), pulling]) == [
        '2 pods waiting with ImagePullBackOff: Back-off pulling image "x" (node node-0)',
        "1 pod ended as Evicted: The node was low on resource (node node-2)",
        "1 pod still without the image (node node-4)",
    ]


def test_a_container_that_does_not_end_is_said_by_name() -> None:
    beside = pod_json(0)
    sidecar = {"name": "proxy", "imageID": "x", "state": {"running": {}}}
    beside["status"] |= {"phase": "Running", "containerStatuses": [*beside["status"]["containerStatuses"], sidecar]}
    assert troubles([msgspec.convert(beside, Pod)]) == ["1 pod still running proxy (node node-0)"]


def test_a_command_that_the_image_lacks_and_a_container_that_cannot_be_made_are_said() -> None:
    no_exec = 'exec: "true": executable file not found in $PATH'
    failed = pod(0, terminated={"exitCode": 128, "reason": "StartError", "message": no_exec})
    unmade = pod(1, waiting=waiting("CreateContainerConfigError", 'secret "x" not found'))
    assert troubles([failed, unmade]) == [
        f"1 pod ended with code 128 (StartError): {no_exec} (node node-0)",
        '1 pod waiting with CreateContainerConfigError: secret "x" not found (node node-1)',
    ]
