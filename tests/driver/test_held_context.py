"""A run stays with the cluster on which it began."""

import json
from pathlib import Path
from typing import Any

import pytest

from driver.clusters.cluster_api import open_cluster
from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.study import Study
from driver.providers.kubeconfig.provider import KubeconfigProvider
from tests.driver.kube_objects import READY
from tests.driver.scripted_api import ScriptedApi, kubeconfig_of, scripted

NODES, NODE = "/api/v1/nodes", "/api/v1/nodes/a"
NAMESPACE = "/api/v1/namespaces/default"


def two_clusters(urls: list[str], current: str) -> dict[str, Any]:
    first, other = map(kubeconfig_of, urls)
    for document, name in ((first, "here"), (other, "elsewhere")):
        document["clusters"][0]["name"] = document["contexts"][0]["name"] = name
        document["contexts"][0]["context"]["cluster"] = name
    both = {key: [*first[key], *other[key]] for key in ("clusters", "contexts")}
    return {**first, **both, "current-context": current}


def one_node(script: ScriptedApi) -> None:
    script.say(NODES, {"items": [{"metadata": {"name": "a"}, "status": {"conditions": [READY]}}]})
    script.say(NODE, {}, method="PATCH")
    script.say(NAMESPACE, {})
    for path in ("/apis/batch/v1/namespaces/default/jobs", "/apis/apps/v1/namespaces/default/daemonsets"):
        script.say(path, {}, method="DELETE")


async def test_a_context_that_is_switched_in_the_middle_leads_no_part_of_a_run_to_another_cluster(
    tmp_path: Path,
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    kubeconfig, saved = tmp_path / "config", list[Handle]()
    async with scripted(tmp_path / "1") as (here, _), scripted(tmp_path / "2") as (elsewhere, _):
        urls = [json.loads((tmp_path / n / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"] for n in "12"]
        kubeconfig.write_text(json.dumps(two_clusters(urls, "here")))
        one_node(here)
        provider = KubeconfigProvider(kubeconfig)
        order = ClusterOrder(name="kube-test-1", size=1, study=Study(), directory=tmp_path / "out")
        cluster = await provider.up(order, saved.append)
        kubeconfig.write_text(json.dumps(two_clusters(urls, "elsewhere")))
        async with open_cluster(cluster.kubeconfig, "default") as api:
            assert [node.metadata.name for node in await api.nodes()] == ["a"]
        await provider.up(
            ClusterOrder(name="kube-test-2", size=1, study=Study(), directory=tmp_path / "out"), saved.append
        )
        resumed = KubeconfigProvider(kubeconfig)
        await resumed.up(
            ClusterOrder(name="kube-test-4", size=1, study=Study(), directory=tmp_path / "out"), saved.append
        )
        await KubeconfigProvider(tmp_path / "no-such-file").down("kube-test-1", saved[1])
        assert here.asked[-1] == f"PATCH {NODE}", "its label is taken off by another process too"
        assert elsewhere.asked == []


async def test_a_kubeconfig_that_is_not_there_or_says_no_context_is_named(tmp_path: Path) -> None:
    order = ClusterOrder(name="kube-test-1", size=1, study=Study(), directory=tmp_path)
    with pytest.raises(ProviderError, match=r"no kubeconfig at .*/config: give --kubeconfig FILE"):
        await KubeconfigProvider(tmp_path / "config").up(order, lambda handle: None)
    for text in ("clusters: []", "clusters: [", "just words"):
        (tmp_path / "config").write_text(text)
        with pytest.raises(ProviderError, match=r"kubeconfig .*/config cannot be understood: "):
            await KubeconfigProvider(tmp_path / "config").up(order, lambda handle: None)
