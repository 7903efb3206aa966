"""What the nodes are: saved with a cluster, so that a comparison across different ones can say so."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from driver.clusters.cluster_api import ClusterApi
from pullstudy.kube.errors import ApiError
from pullstudy.pulls.node_treatment import lasting_taints, treatments
from pullstudy.store.embedded.ledger import NodeRow, NodeSource

# Source: well-known labels of Kubernetes; the beta names are what clusters before 1.17 wrote.
_LABELS = {
    "instance_type": ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"),
    "region": ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    "zone": ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    "machine_image": ("eks.amazonaws.com/nodegroup-image", "cloud.google.com/gke-os-distribution"),
    "architecture": ("kubernetes.io/arch", "beta.kubernetes.io/arch"),
}
_CAPACITY = {"cpus": "cpu", "memory": "memory", "disk": "ephemeral-storage"}
_MOST_VALUES = 1_000  # different ones, of kernels or zones
_LABEL_CHARACTERS = 8 << 10  # of a node's labels together; real nodes have 2,000
_MOST_TAINTS = 100


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    """The API's names are the fields' in camelCase."""


class _Metadata(_Object, frozen=True):
    name: str = ""
    labels: dict[str, str] = {}


class _Taint(_Object, frozen=True):
    key: str = ""
    value: str = ""
    effect: str = ""

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


class _Spec(_Object, frozen=True):
    taints: tuple[_Taint, ...] | None = None


class _NodeInfo(_Object, frozen=True):
    kubelet_version: str = ""
    container_runtime_version: str = ""
    kernel_version: str = ""
    os_image: str = ""
    architecture: str = ""


class _Status(_Object, frozen=True):
    node_info: _NodeInfo = _NodeInfo()
    capacity: dict[str, str] = {}


class DescribedNode(_Object, frozen=True):
    """A Node object, of which its images are not read."""

    kind: str | None = None
    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()
    status: _Status = _Status()


def node_row(cluster: str, node: DescribedNode) -> NodeRow:
    """What a Node object tells."""
    info, capacity = node.status.node_info, node.status.capacity
    known = {
        "kubelet": info.kubelet_version,
        "runtime": info.container_runtime_version,
        "kernel": info.kernel_version,
        "os_image": info.os_image,
        "architecture": info.architecture,
        **{field: capacity.get(name) for field, name in _CAPACITY.items()},
    }
    taints = [str(taint) for taint in (node.spec.taints or ())[:_MOST_TAINTS]]
    return msgspec.structs.replace(
        labelled_row(cluster, node.metadata.name, node.metadata.labels),
        source=NodeSource.LIST,
        taints=msgspec.json.encode(taints).decode(),
        **{field: value for field, value in known.items() if value},
    )


def labelled_row(cluster: str, node: str, labels: Mapping[str, str]) -> NodeRow:
    """What a node's labels alone tell, as exporters write them beside events."""
    known: dict[str, Any] = {field: _first(labels, names) for field, names in _LABELS.items()}
    kept = msgspec.json.encode(dict(_bounded(labels))).decode()
    return NodeRow(cluster=cluster, node=node, source=NodeSource.EVENTS, labels=kept, **known)


def _bounded(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    left = _LABEL_CHARACTERS
    for name, value in sorted(labels.items()):
        left -= len(name) + len(value)
        if left < 0:
            return
        yield name, value


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
    treatments: tuple[str, ...] = ()  # what labels say was done to the nodes, in words
    taints: tuple[str, ...] = ()  # that somebody gave them
    configz: dict[str, Any] | None = None  # the kubelet's own configuration, of one node
    configz_node: str | None = None
    configz_problem: str | None = None  # why there is none
    provider: dict[str, Any] = {}  # what only the provider knows: volume, snapshotter, registry


_OF_ROW = {
    "kubelets": "kubelet",
    "runtimes": "runtime",
    "kernels": "kernel",
    "os_images": "os_image",
    "architectures": "architecture",
    "instance_types": "instance_type",
    "regions": "region",
    "zones": "zone",
    "machine_images": "machine_image",
    "cpus": "cpus",
    "memory": "memory",
    "disk": "disk",
}


def environment_of(nodes: Iterable[NodeRow]) -> Environment:
    """The different values of the nodes, at most 1,000 of each."""
    found: dict[str, set[str]] = {field: set() for field in (*_OF_ROW, "treatments", "taints")}
    count = 0
    for node in nodes:
        count += 1
        for field, name in _OF_ROW.items():
            _add(found[field], (getattr(node, name),))
        _add(found["treatments"], treatments(msgspec.json.decode(node.labels)))
        _add(found["taints"], lasting_taints(msgspec.json.decode(node.taints)))
    values: dict[str, Any] = {field: tuple(sorted(different)) for field, different in found.items()}
    return Environment(nodes=count, **values)


def _add(values: set[str], more: Iterable[str | None]) -> None:
    for value in more:
        if value and len(values) < _MOST_VALUES:
            values.add(value)


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((labels[name] for name in names if name in labels), None)


class _Nodes(msgspec.Struct, frozen=True):
    items: tuple[DescribedNode, ...] | None = None


def node_rows(cluster: str, nodes_json: bytes) -> list[NodeRow]:
    """Of nodes as the API lists them. Raises msgspec.ValidationError where they are no Node objects."""
    return [node_row(cluster, node) for node in msgspec.json.decode(nodes_json, type=_Nodes).items or ()]


async def read_environment(api: ClusterApi, rows: list[NodeRow], provider: dict[str, Any]) -> Environment:
    """Of the nodes as listed, with one kubelet's configz, which many clusters do not let be read."""
    environment = msgspec.structs.replace(environment_of(rows), provider=provider)
    if not rows:
        return environment
    name = rows[0].node
    try:
        configz = msgspec.json.decode(await api.configz(name), type=dict[str, Any])
    except (ApiError, msgspec.DecodeError) as error:
        return msgspec.structs.replace(environment, configz_node=name, configz_problem=str(error))
    return msgspec.structs.replace(environment, configz_node=name, configz=configz.get("kubeletconfig", configz))
