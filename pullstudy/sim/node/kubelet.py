"""The kubelet of a node: takes the pods that are bound to it, and lets go of those that are deleted."""

import random
from collections.abc import Callable
from typing import Any

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import ApiServer
from pullstudy.sim.api.resources import PODS
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.node.image_puller import ImagePuller
from pullstudy.sim.node.messages import Messages
from pullstudy.sim.node.nodes import SimNode
from pullstudy.sim.node.pod_worker import PodWorker

Json = dict[str, Any]


class Kubelet:
    """All pods of one node. ``random`` is shared by the nodes, which makes a run a function of its seed."""

    def __init__(
        self,
        api: ApiServer,
        node: SimNode,
        puller: ImagePuller,
        recorder: Recorder,
        wording: Messages,
        parameters: ModelParameters,
        source: random.Random,
        exit_code: Callable[[Json], int | None],
    ) -> None:
        """``exit_code`` may make a pod's containers fail: it is asked once for each container that ends."""
        self.api = api
        self.node = node
        self.puller = puller
        self.recorder = recorder
        self.wording = wording
        self.parameters = parameters
        self.random = source
        self.exit_code = exit_code
        self._workers: dict[str, PodWorker] = {}

    def pod_bound(self, pod: Json) -> None:
        self._workers[pod["metadata"]["uid"]] = worker = PodWorker(self, pod)
        worker.start()

    def pod_terminating(self, pod: Json) -> None:
        worker = self._workers.pop(pod["metadata"]["uid"], None)
        if self.node.lost:
            return
        if worker is not None:
            worker.kill()
        self.puller.forget(pod["metadata"]["uid"])
        # Seen by the kubelet, containers removed, then deleted for good.
        self.api.clock.call_later(self.parameters.times.deletion_seconds, lambda: self._gone(pod))

    def _gone(self, pod: Json) -> None:
        if not self.api.exists(PODS, pod):
            return
        if pod["metadata"].get("finalizers"):
            pods_changed = self.parameters.times.status_seconds
            self.api.clock.call_later(max(pods_changed, 0.05), lambda: self._gone(pod))
            return
        self.api.delete(PODS, pod)

    def pod_gone(self, pod: Json) -> None:
        worker = self._workers.pop(pod["metadata"]["uid"], None)
        if worker is not None:
            worker.stop()

    def lose(self) -> None:
        """The machine is off: nothing of what it was doing goes on."""
        self.node.lost = True
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()


class Kubelets:
    """Hands each pod to the kubelet of its node."""

    def __init__(self, api: ApiServer) -> None:
        self._kubelets: dict[str, Kubelet] = {}
        self._bound: set[str] = set()
        self._terminating: set[str] = set()
        api.listen(PODS, self._pod_changed)

    def add(self, kubelet: Kubelet) -> None:
        self._kubelets[kubelet.node.name] = kubelet

    def __getitem__(self, node: str) -> Kubelet:
        return self._kubelets[node]

    def all(self) -> list[Kubelet]:
        return list(self._kubelets.values())

    def _pod_changed(self, kind: str, pod: Json) -> None:
        node, uid = pod["spec"].get("nodeName"), pod["metadata"]["uid"]
        if node is None:
            return
        kubelet = self._kubelets[node]
        if kind == "DELETED":
            self._bound.discard(uid)
            self._terminating.discard(uid)
            kubelet.pod_gone(pod)
            return
        if uid not in self._bound:
            self._bound.add(uid)
            if not kubelet.node.lost:
                kubelet.pod_bound(pod)
        if pods.is_terminating(pod) and uid not in self._terminating:
            self._terminating.add(uid)
            kubelet.pod_terminating(pod)
