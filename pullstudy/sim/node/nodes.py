"""The nodes: what the API shows of them, and what is on them."""

import random
from dataclasses import dataclass, field
from typing import Any

from pullstudy.sim.api.apiserver import ApiServer
from pullstudy.sim.api.resources import NODES
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.model.disk import Disk
from pullstudy.sim.model.images import Image, ImageCatalogue
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import node_volume

Json = dict[str, Any]

INSTANCE_TYPE = "c5a.4xlarge"
REGION = "us-east-2"
ZONES = ("us-east-2a", "us-east-2b", "us-east-2c")
KERNEL = "5.10.227-219.884.amzn2.x86_64"
RUNTIME = "containerd://1.7.22"
REPORTED_IMAGES = 50  # kubelet's nodeStatusMaxImages
KUBELET_PORT = 10250


@dataclass
class SimNode:
    """One machine. ``slowdown`` is 1 for an ordinary one; ``skew_seconds`` is how far its clock is ahead."""

    name: str
    disk: Disk
    slowdown: float = 1.0
    skew_seconds: float = 0.0
    lost: bool = False
    images: dict[str, Image] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)

    def add(self, image: Image) -> None:
        self.images[image.reference] = image
        self.layers.update(layer.digest for layer in image.layers)

    def drop(self, references: set[str] | None) -> bool:
        """Remove images, all if None, and the layers that no image needs any more. Was anything removed?"""
        gone = set(self.images) if references is None else references & set(self.images)
        for reference in gone:
            del self.images[reference]
        self.layers = {layer.digest for image in self.images.values() for layer in image.layers}
        return bool(gone)

    def image_list(self) -> list[Json]:
        """node.status.images: the largest first, at most fifty."""
        largest = sorted(self.images.values(), key=lambda image: (-image.image_bytes, image.reference))
        return [
            {
                "names": [f"{image.reference.rpartition(':')[0]}@{image.digest}", image.reference],
                "sizeBytes": image.image_bytes,
            }
            for image in largest[:REPORTED_IMAGES]
        ]


def node_name(index: int) -> str:
    return f"ip-{_address(index).replace('.', '-')}.{REGION}.compute.internal"


def _address(index: int) -> str:
    return f"192.168.{index // 250}.{index % 250 + 1}"


def make_node(
    index: int, cluster: str, parameters: ModelParameters, version: KubernetesVersion, stamp: str, seed: int
) -> tuple[SimNode, Json]:
    """The machine and its Node object. ``seed`` is of what its volume has for its own."""
    address, name = _address(index), node_name(index)
    volume = node_volume(parameters, random.Random(f"{seed} {cluster} {index}"))
    node = SimNode(name, Disk(volume))
    zone = ZONES[index % len(ZONES)]
    labels = {
        "alpha.eksctl.io/cluster-name": cluster,
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/instance-type": INSTANCE_TYPE,
        "beta.kubernetes.io/os": "linux",
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
        "failure-domain.beta.kubernetes.io/region": REGION,
        "failure-domain.beta.kubernetes.io/zone": zone,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": INSTANCE_TYPE,
        "topology.kubernetes.io/region": REGION,
        "topology.kubernetes.io/zone": zone,
    }
    capacity = {"cpu": "16", "ephemeral-storage": "157274092Ki", "memory": "32497124Ki", "pods": "110"}
    return node, {
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"simulated": "true", "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"providerID": f"sim:///{zone}/{cluster}-{index}"},
        "status": {
            "capacity": capacity,
            "allocatable": capacity | {"cpu": "15890m", "memory": "29497828Ki", "ephemeral-storage": "143870061124"},
            "conditions": _conditions(stamp),
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
                {"type": "InternalDNS", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": {
                "machineID": f"{index:032x}",
                "systemUUID": f"{index:032x}",
                "bootID": f"{index:032x}",
                "kernelVersion": KERNEL,
                "osImage": "Amazon Linux 2",
                "containerRuntimeVersion": RUNTIME,
                "kubeletVersion": version.text,
                "kubeProxyVersion": version.text,
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
            "images": [],
        },
    }


def _conditions(stamp: str) -> list[Json]:
    quiet = (
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    )
    times = {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
    return [
        *(
            {"type": kind, "status": "False", **times, "reason": reason, "message": message}
            for kind, reason, message in quiet
        ),
        {
            "type": "Ready",
            "status": "True",
            **times,
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        },
    ]


def set_ready(api: ApiServer, obj: Json, ready: bool) -> None:
    """What the node controller writes when a node is heard of, or no longer."""
    condition = obj["status"]["conditions"][-1]
    condition["status"] = "True" if ready else "Unknown"
    condition["reason"] = "KubeletReady" if ready else "NodeStatusUnknown"
    condition["message"] = "kubelet is posting ready status" if ready else "Kubelet stopped posting node status."
    condition["lastTransitionTime"] = api.clock.stamp()
    taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
    obj["spec"]["taints"] = [] if ready else [taint, taint | {"effect": "NoExecute"}]
    api.update(NODES, obj)


class Fleet:
    """All machines of the cluster by name, and their Node objects kept up to date."""

    def __init__(self, api: ApiServer, images: ImageCatalogue) -> None:
        self._api = api
        self._images = images
        self._nodes: dict[str, SimNode] = {}
        self._unreported: set[str] = set()

    def add(self, node: SimNode, obj: Json) -> None:
        self._nodes[node.name] = node
        self._api.create(NODES, obj)

    def __getitem__(self, name: str) -> SimNode:
        return self._nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def all(self) -> list[SimNode]:
        return list(self._nodes.values())

    def note_images(self, node: SimNode) -> None:
        """The node's images have changed: the next report will say so."""
        self._unreported.add(node.name)

    def report_images(self) -> None:
        """Bring node.status.images up to date where it lags."""
        for name in sorted(self._unreported):
            obj = self._api.find(NODES, "", name)
            if obj is not None and not self._nodes[name].lost:
                obj["status"]["images"] = self._nodes[name].image_list()
                self._api.update(NODES, obj)
        self._unreported.clear()

    def clear_caches(self, references: set[str] | None) -> int:
        """Remove images from all nodes and report at once; return how many nodes held any."""
        changed = [node for node in self._nodes.values() if node.drop(references)]
        for node in changed:
            self.note_images(node)
        self.report_images()
        return len(changed)

    def preload(self, references: list[str]) -> None:
        for node in self._nodes.values():
            for reference in references:
                node.add(self._images.describe(reference))
            self.note_images(node)
        self.report_images()

    def slow_down(self, share: float, factor: float, source: random.Random) -> list[str]:
        """Make a seeded share of the nodes slow; return their names."""
        chosen = sorted(source.sample(sorted(self._nodes), round(share * len(self._nodes))))
        for name in chosen:
            self._nodes[name].slowdown = factor
        return chosen
