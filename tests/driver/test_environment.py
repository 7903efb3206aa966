"""What the nodes are."""

import json
from pathlib import Path

import msgspec

from driver.clusters.cluster_lifecycle import save_nodes
from driver.clusters.environment import environment_of, read_environment
from tests.driver.scripted_api import scripted

NODE = {"metadata": {"name": "n"}, "status": {"nodeInfo": {"kubeletVersion": "v1.34.4"}}}


def test_the_real_nodes_of_the_upstream_study(study_data: Path) -> None:
    nodes = json.loads((study_data / "pulling-aws" / "nodes-16.json").read_text())["items"]
    found = environment_of(nodes)
    assert found.nodes == 16
    assert found.kubelets == ("v1.27.16-eks-a737599",)
    assert found.runtimes == ("containerd://1.7.22",)
    assert found.instance_types == ("c5a.4xlarge",)
    assert found.regions == ("us-east-2",)
    assert found.machine_images == ("ami-0b522aad5febf7ae6",)
    assert found.cpus == ("16",)


def test_different_nodes_show_all_that_they_are() -> None:
    other = {"metadata": {"name": "m"}, "status": {"nodeInfo": {"kubeletVersion": "v1.33.0"}}}
    assert environment_of([NODE, other, NODE]).kubelets == ("v1.33.0", "v1.34.4")


async def test_the_kubelets_configuration_is_saved_with_it(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        script.say("/api/v1/nodes/n/proxy/configz", {"kubeletconfig": {"serializeImagePulls": False}})
        found = await read_environment(api, msgspec.json.encode({"items": [NODE]}), {"volume": "gp2"})
    assert found.configz == {"serializeImagePulls": False}
    assert (found.configz_node, found.configz_problem, found.provider) == ("n", None, {"volume": "gp2"})


async def test_a_cluster_that_does_not_show_it_is_described_without(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        script.say("/api/v1/nodes/n/proxy/configz", {"code": 403, "message": "nodes/proxy is forbidden"}, status=403)
        found = await read_environment(api, msgspec.json.encode({"items": [NODE]}), {})
    assert found.configz is None
    assert found.configz_problem is not None
    assert "forbidden" in found.configz_problem


def test_the_snapshot_is_what_was_served(tmp_path: Path) -> None:
    path = save_nodes(tmp_path, "sim-x-4", b'{"items": []}')
    assert path == tmp_path / "nodes" / "nodes-sim-x-4.json"
    assert path.read_bytes() == b'{"items": []}'
    assert [found.name for found in path.parent.iterdir()] == [path.name]
