"""The status of a pod as its kubelet writes it."""

from typing import Any

from pullstudy.sim.api import pods
from pullstudy.sim.node.container import SimContainer

Json = dict[str, Any]

_WHY_NOT_READY = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


def write(pod: Json, phase: str, containers: list[SimContainer], node: str, stamp: str) -> None:
    """Phase, addresses, conditions and containers. ``stamp`` is by the node's own clock."""
    status = pod["status"]
    address = node.split(".")[0].removeprefix("ip-").replace("-", ".")
    status |= {"phase": phase, "hostIP": address, "hostIPs": [{"ip": address}]}
    ready = phase == "Running" and all(container.runs for container in containers)
    reason = "" if ready else _WHY_NOT_READY.get(phase, "ContainersNotReady")
    pods.set_condition(pod, "PodReadyToStartContainers", phase == "Running", stamp)
    pods.set_condition(pod, "Initialized", True, stamp, "PodCompleted" if phase == "Succeeded" else "")
    pods.set_condition(pod, "Ready", ready, stamp, reason)
    pods.set_condition(pod, "ContainersReady", ready, stamp, reason)
    status["containerStatuses"] = [container.status() for container in containers]
