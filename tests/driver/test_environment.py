"""What the nodes are."""

from pathlib import Path

import msgspec

from driver.clusters.cluster_lifecycle import save_nodes
from driver.clusters.environment import environment_of, labelled_row, node_rows, read_environment
from pullstudy.store.embedded.ledger import NodeSource
from tests.driver.scripted_api import scripted

NODE = {"metadata": {"name": "n"}, "status": {"nodeInfo": {"kubeletVersion": "v1.34.4"}}}
ROWS = node_rows("c", msgspec.json.encode({"items": [NODE]}))


def test_the_real_nodes_of_the_upstream_study(study_data: Path) -> None:
    found = environment_of(node_rows("c", (study_data / "pulling-aws" / "nodes-16.json").read_bytes()))
    assert found.nodes == 16
    assert found.kubelets == ("v1.27.16-eks-a737599",)
    assert found.runtimes == ("containerd://1.7.22",)
    assert found.instance_types == ("c5a.4xlarge",)
    assert found.regions == ("us-east-2",)
    assert found.machine_images == ("ami-0b522aad5febf7ae6",)
    assert found.cpus == ("16",)


def test_different_nodes_show_all_that_they_are() -> None:
    other = {"metadata": {"name": "m"}, "status": {"nodeInfo": {"kubeletVersion": "v1.33.0"}}}
    rows = node_rows("c", msgspec.json.encode({"items": [NODE, other, NODE]}))
    assert environment_of(rows).kubelets == ("v1.33.0", "v1.34.4")


async def test_the_kubelets_configuration_is_saved_with_it(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        script.say("/api/v1/nodes/n/proxy/configz", {"kubeletconfig": {"serializeImagePulls": False}})
        found = await read_environment(api, ROWS, {"volume": "gp2"})
    assert found.configz == {"serializeImagePulls": False}
    assert (found.configz_node, found.configz_problem, found.provider) == ("n", None, {"volume": "gp2"})


async def test_a_cluster_that_does_not_show_it_is_described_without(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        script.say("/api/v1/nodes/n/proxy/configz", {"code": 403, "message": "nodes/proxy is forbidden"}, status=403)
        found = await read_environment(api, ROWS, {})
    assert found.configz is None
    assert found.configz_problem is not None
    assert "forbidden" in found.configz_problem


def test_the_snapshot_is_what_was_served(tmp_path: Path) -> None:
    path = save_nodes(tmp_path, "sim-x-4", b'{"items": []}')
    assert path == tmp_path / "nodes" / "nodes-sim-x-4.json"
    assert path.read_bytes() == b'{"items": []}'
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_the_real_nodes_say_what_was_done_to_them(study_data: Path) -> None:
    found = {
        name: environment_of(node_rows("c", (study_data / name / "nodes-4.json").read_bytes()))
        for name in ("gke-streaming-on", "gke-streaming-off", "pulling-aws")
    }
    boot = "boot disk: pd-balanced"
    assert found["gke-streaming-on"].treatments == (boot, "image streaming: true")
    assert found["gke-streaming-off"].treatments == (boot,)
    assert found["pulling-aws"].treatments == ()
    assert found["gke-streaming-on"].kubelets == ("v1.30.5-gke.1355000",)


def test_a_node_is_a_row_of_all_that_is_asked_of_it() -> None:
    labels = {"node.kubernetes.io/instance-type": "m", "topology.kubernetes.io/zone": "z", "a": "b"}
    given = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}, {"key": "node.kubernetes.io/not-ready"}]
    item = {**NODE, "metadata": {"name": "n", "labels": labels}, "spec": {"taints": given}}
    (row,) = node_rows("c", msgspec.json.encode({"items": [item]}))
    assert (row.cluster, row.node, row.source, row.kubelet) == ("c", "n", NodeSource.LIST, "v1.34.4")
    assert (row.instance_type, row.zone, row.region, row.disk) == ("m", "z", None, None)
    assert (msgspec.json.decode(row.labels), msgspec.json.decode(row.taints)) == (
        labels,
        ["gpu=yes:NoSchedule", "node.kubernetes.io/not-ready:"],
    )
    assert environment_of([row]).taints == ("gpu=yes:NoSchedule",), "what Kubernetes lifts by itself is no treatment"


def test_labels_without_end_are_kept_to_a_limit() -> None:
    row = labelled_row("c", "n", {f"label-{number:05}": "x" * 20 for number in range(10_000)})
    assert 7_000 < len(row.labels) < 16_000
