"""Kubelets of fake nodes on a virtual clock, with a list in place of the API server."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from driver.providers.kwok.kubelets.machines import BoundPod, Machines
from driver.providers.kwok.kubelets.nodes import NodesOrder, node_names
from driver.providers.kwok.kubelets.outbox import Write
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import Event
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.sim.api.version import KubernetesVersion

Json = dict[str, Any]
SMALL = "ghcr.io/converged-computing/container-chonks-run1:9-layers-size-1176249324-bytes"
LARGE = "ghcr.io/converged-computing/container-chonks-run1:9-layers-size-19034736629-bytes"
START_AT = datetime(2026, 1, 1, tzinfo=UTC)


def order(nodes: int = 2, speed: float = 1.0, **changes: Any) -> NodesOrder:
    return NodesOrder(
        cluster="kwok-test", nodes=nodes, kubeconfig="unused", profile="eks", speed=speed, seed=1, **changes
    )


class FakeNodes:
    """What they wrote is in ``writes``; a pod is given by its number, which is its node's too."""

    def __init__(self, wanted: NodesOrder | None = None) -> None:
        self.order = wanted or order()
        self.names = node_names(self.order)
        self.writes: list[Write] = []
        self.machines = Machines(self.order, KubernetesVersion.parse("1.34.4"), START_AT, self.writes.append)

    def bound_pod(self, number: int, image: str = SMALL, node: str | None = None, **metadata: Any) -> BoundPod:
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        container = {"name": "pull", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["true"]}
        meta = {"name": f"pod-{number}", "namespace": "default", "uid": f"uid-{number}", "resourceVersion": "777"}
        pod = {
            "metadata": meta | metadata,
            "spec": {"nodeName": node or self.names[number], "restartPolicy": "Never", "containers": [container]},
            "status": {"phase": "Pending", "conditions": [condition], "qosClass": "BestEffort"},
        }
        return msgspec.json.decode(json.dumps(pod), type=BoundPod)

    def bind(self, number: int, image: str = SMALL, **kwargs: Any) -> None:
        self.machines.pod_changed(self.bound_pod(number, image, **kwargs), deleted=False)

    def run(self, seconds: float) -> None:
        self.machines.clock.run_until(self.machines.clock.now + seconds)

    def events(self) -> list[Json]:
        return [write.body for write in self.writes if write.method == "POST" and write.path.endswith("/events")]

    def statuses(self, number: int) -> list[Json]:
        path = f"/api/v1/namespaces/default/pods/pod-{number}/status"
        return [write.body["status"] for write in self.writes if write.path == path]

    def decoded(self) -> tuple[list[PullRecord], list[Milestone]]:
        """As a collector reads them, with the uids that the API server gives."""
        read = [
            msgspec.json.decode(json.dumps(body | {"metadata": {**body["metadata"], "uid": str(number)}}), type=Event)
            for number, body in enumerate(self.events())
        ]
        found = [decode_event(event, Origin(cluster="kwok-test")) for event in read]
        return [pull for one in found for pull in one.pulls], [m for one in found for m in one.milestones]
