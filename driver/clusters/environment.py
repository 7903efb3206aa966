"""What the nodes are: saved with a cluster, so that a comparison across different ones can say so."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from driver.clusters.cluster_api import ClusterApi
from pullstudy.kube.errors import ApiError
from pullstudy.kube.objects import Node

# Source: well-known labels of Kubernetes; the beta names are what clusters before 1.17 wrote.
_LABELS = {
    "instance_types": ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"),
    "regions": ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    "zones": ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    "machine_images": ("eks.amazonaws.com/nodegroup-image", "cloud.google.com/gke-os-distribution"),
}
_NODE_INFO = {
    "kubelets": "kubeletVersion",
    "runtimes": "containerRuntimeVersion",
    "kernels": "kernelVersion",
    "os_images": "osImage",
    "architectures": "architecture",
}
_CAPACITY = {"cpus": "cpu", "memory": "memory", "disk": "ephemeral-storage"}


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The different values that the nodes of one cluster have, sorted; mostly one of each."""

    nodes: int
    kubelets: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    os_images: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    machine_images: tuple[str, ...] = ()
    cpus: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()  # Kubernetes quantities, as the nodes write them
    disk: tuple[str, ...] = ()
    configz: dict[str, Any] | None = None  # the kubelet's own configuration, of one node
    configz_node: str | None = None
    configz_problem: str | None = None  # why there is none
    provider: dict[str, Any] = {}  # what only the provider knows: volume, snapshotter, registry


def environment_of(nodes: Iterable[Mapping[str, Any]]) -> Environment:
    """What Node objects tell. Raises msgspec.ValidationError where they are no Node objects."""
    known = msgspec.convert(list(nodes), list[Node])
    found: dict[str, Any] = {}
    for field, names in _LABELS.items():
        found[field] = _different(_first(node.metadata.labels, names) for node in known)
    for field, name in _NODE_INFO.items():
        found[field] = _different(node.status.node_info.get(name) for node in known)
    for field, name in _CAPACITY.items():
        found[field] = _different(node.status.capacity.get(name) for node in known)
    return Environment(nodes=len(known), **found)


def _different(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((labels[name] for name in names if name in labels), None)


async def read_environment(api: ClusterApi, nodes_json: bytes, provider: dict[str, Any]) -> Environment:
    """Of the nodes as listed, with one kubelet's configz, which many clusters do not let be read."""
    nodes = msgspec.json.decode(nodes_json).get("items") or []
    environment = msgspec.structs.replace(environment_of(nodes), provider=provider)
    if not nodes:
        return environment
    name = nodes[0]["metadata"]["name"]
    try:
        configz = msgspec.json.decode(await api.configz(name), type=dict[str, Any])
    except (ApiError, msgspec.DecodeError) as error:
        return msgspec.structs.replace(environment, configz_node=name, configz_problem=str(error))
    return msgspec.structs.replace(environment, configz_node=name, configz=configz.get("kubeletconfig", configz))
