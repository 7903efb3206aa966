"""The nodes that are to be: the simulator's, under names of their own, and the Node objects that register them."""

from typing import Any

import msgspec

from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.model.parameters import PROFILES, Changes, ModelParameters, accelerated, override
from pullstudy.sim.node.nodes import SimNode, make_node

Json = dict[str, Any]
CLOSED_PORT = 1  # tcpmux, which no system serves


class NodesOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What nodes there are to be, as the driver tells the process of the kubelets."""

    cluster: str
    nodes: int
    kubeconfig: str
    profile: str  # a key of PROFILES
    speed: float  # model seconds a second
    seed: int
    model: Changes = {}
    images: dict[str, ImageSize] = {}  # by reference
    domain: str | None = None  # ends the nodes' names, where the simulator's own could be another cluster's
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()

    @property
    def parameters(self) -> ModelParameters:
        """The model's, at the order's speed. Raises ParametersError."""
        return accelerated(override(PROFILES[self.profile], self.model), self.speed)


def node_names(order: NodesOrder) -> list[str]:
    """Of all nodes of an order."""
    return [node.name for node, _ in make_nodes(order, KubernetesVersion.parse("1.34"), "")]


def make_nodes(order: NodesOrder, version: KubernetesVersion, stamp: str) -> list[tuple[SimNode, Json]]:
    """Each machine and its Node object. ``stamp`` is now, as the API writes it."""
    parameters = order.parameters
    made = [make_node(index, order.cluster, parameters, version, stamp, order.seed) for index in range(order.nodes)]
    for node, obj in made:
        if order.domain is not None:
            node.name = f"{node.name.partition('.')[0]}.{order.domain}"
        _dress(obj, node.name, order)
    return made


def _dress(obj: Json, name: str, order: NodesOrder) -> None:
    meta = obj["metadata"]
    meta["name"] = meta["labels"]["kubernetes.io/hostname"] = name
    meta["labels"] |= order.labels
    meta["annotations"] |= order.annotations
    status = obj["status"]
    status["phase"] = "Running"  # of such nodes kwok keeps up the heartbeat
    # Nothing listens for the API server's questions to a kubelet: it is to learn so at once, without asking the DNS.
    status["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]
    status["daemonEndpoints"]["kubeletEndpoint"]["Port"] = CLOSED_PORT
    if order.taints:
        obj["spec"]["taints"] = list(order.taints)
