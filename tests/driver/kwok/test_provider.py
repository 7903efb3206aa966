"""The provider of fake nodes: what it refuses, tells its kubelets and takes away, without servers."""

import json
from pathlib import Path

import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.study import JobPlan, KwokPlan, Study
from driver.providers.kwok.provider import KwokHandle, KwokProvider, nodes_order
from driver.providers.kwok.servers import find_programs
from tests.driver.scripted_api import kubeconfig_of, scripted

NODES = "/api/v1/nodes"
JOBS = "/apis/batch/v1/namespaces/pulls/jobs"


def wanted(directory: Path, study: Study) -> ClusterOrder:
    return ClusterOrder(name="kwok-test-2", size=2, study=study, directory=directory)


def test_missing_programs_are_named() -> None:
    with pytest.raises(ProviderError, match="not on PATH: no-such-server, no-other"):
        find_programs(("sh", "no-such-server", "no-other"))


async def test_a_given_cluster_is_not_touched_for_a_study_that_does_not_tolerate_the_taint(tmp_path: Path) -> None:
    saved: list[Handle] = []
    with pytest.raises(ProviderError, match=r'\[job\] tolerations = \[\{ key = "pullstudy/fake"'):
        await KwokProvider(tmp_path / "kubeconfig").up(wanted(tmp_path, Study()), saved.append)
    assert saved == []


def test_nodes_of_a_given_cluster_have_names_labels_and_a_taint_of_their_own(tmp_path: Path) -> None:
    study = Study(job=JobPlan(tolerations=({"key": "pullstudy/fake", "operator": "Exists"},)), kwok=KwokPlan(speed=9.0))
    handle = KwokHandle(directory=str(tmp_path), mark="0a1b", kubeconfig="kubeconfig")
    shared = nodes_order(wanted(tmp_path, study), Path("kubeconfig"), handle)
    assert shared.domain == "0a1b.kwok"
    assert shared.labels == shared.annotations == {"pullstudy/fake": "0a1b"}
    assert [taint["effect"] for taint in shared.taints] == ["NoSchedule"]
    assert shared.speed == 9.0
    alone = nodes_order(wanted(tmp_path, study), Path("kubeconfig"), KwokHandle(directory=".", mark="0a1b"))
    assert (alone.domain, alone.taints) == (None, ())


async def test_down_deletes_jobs_and_nodes_of_its_mark_on_a_given_cluster_and_says_what_to_do_where_it_cannot(
    tmp_path: Path,
) -> None:
    async def no_sleep(seconds: float) -> None:
        pass

    async with scripted(tmp_path) as (script, _):
        script.say(NODES, {"items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]})
        script.say(NODES, {"items": [{"metadata": {"name": "c"}}]})
        script.say(JOBS, {}, method="DELETE")
        script.say(f"{NODES}/a", {}, method="DELETE")
        script.say(f"{NODES}/b", {"code": 404, "message": "gone"}, method="DELETE", status=404)
        handle = {
            "directory": str(tmp_path),
            "mark": "0a1b",
            "kubeconfig": str(tmp_path / "kubeconfig"),
            "namespace": "pulls",
        }
        await KwokProvider(sleep=no_sleep).down("kwok-test-2", handle)
        assert script.asked == [f"DELETE {JOBS}", f"GET {NODES}", f"DELETE {NODES}/a", f"DELETE {NODES}/b"]
        script.say(f"{NODES}/c", {"code": 403, "message": "no"}, method="DELETE", status=403)
        with pytest.raises(ProviderError, match="kubectl delete jobs,nodes -n pulls -l pullstudy/fake=0a1b"):
            await KwokProvider(sleep=no_sleep).down("kwok-test-2", handle)


async def test_a_context_that_is_switched_between_two_sizes_is_named_and_no_node_is_made_elsewhere(
    tmp_path: Path,
) -> None:
    kubeconfig = tmp_path / "config"
    provider = KwokProvider(kubeconfig)
    kubeconfig.write_text(json.dumps(kubeconfig_of("http://127.0.0.1:1")))
    assert provider._held(kubeconfig, tmp_path / "clusters" / "kwok-test-2").name == "kwok-test-2.context"
    kubeconfig.write_text(json.dumps(kubeconfig_of("http://127.0.0.1:1")).replace('"test"', '"other"'))
    with pytest.raises(ProviderError, match="leads to other by now: kubectl config use-context test"):
        provider._held(kubeconfig, tmp_path / "clusters" / "kwok-test-4")
