"""The simulator's kubelets, told of pods from outside; what they write goes out as requests."""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from driver.providers.kwok.kubelets.nodes import NodesOrder, make_nodes
from driver.providers.kwok.kubelets.outbox import Write
from pullstudy.pulls.pod import Metadata
from pullstudy.sim.api.apiserver import ApiServer, Identities
from pullstudy.sim.api.history import History
from pullstudy.sim.api.resources import NODES, PODS
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.faults.cluster import ClusterFaults
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.pull_model import PullModel
from pullstudy.sim.node.image_puller import ImagePuller
from pullstudy.sim.node.kubelet import Kubelet, Kubelets
from pullstudy.sim.node.messages import Messages
from pullstudy.sim.node.nodes import Fleet, SimNode
from pullstudy.sim.node.truth import Truth
from pullstudy.sim.time.clock import VirtualClock

Json = dict[str, Any]


class BoundPod(msgspec.Struct, frozen=True, gc=False):
    """A pod as the watch brings it, read no further than is needed to know it again."""

    metadata: Metadata
    spec: msgspec.Raw
    status: msgspec.Raw


class Machines:
    """All nodes of one cluster. Time is moved from outside, on ``clock``."""

    def __init__(
        self, order: NodesOrder, version: KubernetesVersion, start_at: datetime, put: Callable[[Write], None]
    ) -> None:
        """Registers the nodes at once; ``put`` takes what is to be written, and must not wait."""
        self._put = put
        self.clock = VirtualClock(start_at)
        self.truth = Truth()
        self._parameters = order.parameters
        self._wording = Messages(version)
        self._random = random.Random(order.seed)
        self._api = ApiServer(self.clock, History(self.clock, 0, keep_revisions=1), Identities(self._random))
        self._images = ImageCatalogue(order.images)
        self._fleet = Fleet(self._api, self._images)
        self._kubelets = Kubelets(self._api)
        self._model = PullModel(
            self.clock, self._parameters, self._random, random.Random(f"{order.seed} {order.cluster}")
        )
        self._faults = ClusterFaults(self._random)
        self._posts = Posts(put)
        self._pods: dict[str, Json] = {}  # by uid, those of our nodes that the API server has
        self._applying_change = False
        for node, obj in make_nodes(order, version, self.clock.stamp()):
            self._register(node, obj)
        self._api.listen(PODS, self._pod_written)
        self._api.listen(NODES, self._node_written)
        self.clock.every(self._parameters.times.image_report_seconds, self._fleet.report_images)

    def pod_changed(self, pod: BoundPod, *, deleted: bool) -> None:
        """A pod is bound, has changed or is gone. Pods of other nodes are none of ours."""
        known = self._pods.get(pod.metadata.uid)
        self._applying_change = True
        try:
            if deleted:
                self._forget(pod.metadata.uid)
            elif known is None:
                self._take(pod)
            elif pod.metadata.deletion_timestamp is not None and "deletionTimestamp" not in known["metadata"]:
                known["metadata"]["deletionTimestamp"] = pod.metadata.deletion_timestamp.isoformat()
                self._api.update(PODS, known)
        finally:
            self._applying_change = False

    def clear(self, images: set[str]) -> None:
        """Remove the images from all nodes, which report it at once."""
        self._fleet.clear_caches(images)

    def _register(self, node: SimNode, obj: Json) -> None:
        self._put(Write(_node_key(node.name), "POST", "/api/v1/nodes", {**obj, "metadata": dict(obj["metadata"])}))
        self._fleet.add(node, obj)
        settings = self._parameters.kubelet
        recorder = Recorder(
            self.clock, self._posts, "kubelet", node.name, settings.event_record_qps, settings.event_burst
        )
        puller = ImagePuller(
            self.clock, node, self._model, recorder, self.truth, self._wording, settings, self._faults,
            self._fleet.note_images, self._images,
        )  # fmt: skip
        self._kubelets.add(
            Kubelet(
                self._api, node, puller, recorder, self._wording, self._parameters, self._random,
                self._faults.exit_code,
            )
        )  # fmt: skip

    def _take(self, pod: BoundPod) -> None:
        spec, meta = msgspec.json.decode(pod.spec), pod.metadata
        if spec.get("nodeName") not in self._fleet:
            return
        status = msgspec.json.decode(pod.status)
        if status.get("phase") in ("Succeeded", "Failed"):
            return
        self._posts.versions[meta.uid] = meta.resource_version
        ours = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
        self._pods[meta.uid] = self._api.create(PODS, {"metadata": ours, "spec": spec, "status": status})

    def _forget(self, uid: str) -> None:
        self._posts.versions.pop(uid, None)
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._api.delete(PODS, pod)

    def _pod_written(self, kind: str, pod: Json) -> None:
        if self._applying_change:
            return
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        uid = {"uid": meta["uid"]}
        if kind == "DELETED":
            self._put(Write(path, "DELETE", path, {"gracePeriodSeconds": 0, "preconditions": uid}))
        else:
            # The list of conditions is the one part that is changed in place later.
            status = {**pod["status"], "conditions": list(pod["status"].get("conditions", ()))}
            self._put(Write(path, "PATCH", f"{path}/status", {"metadata": uid, "status": status}, whole=True))

    def _node_written(self, kind: str, node: Json) -> None:
        name = node["metadata"]["name"]
        images = {"status": {"images": node["status"]["images"]}}
        self._put(Write(_node_key(name), "PATCH", f"/api/v1/nodes/{name}/status", images, whole=True))


def _node_key(name: str) -> str:
    return f"node {name}"


class Posts:
    """The way of the kubelets' events to the API server.

    ``versions`` are those that pods, by uid, had when their kubelet first saw them.
    """

    def __init__(self, put: Callable[[Write], None]) -> None:
        self._put = put
        self.versions: dict[str, str] = {}

    def create(self, event: Json) -> str:
        """Returns the name in the uid's place: the uid is the API server's, and told by its answer only."""
        meta, involved = event["metadata"], event["involvedObject"]
        name = {"name": meta["name"], "namespace": meta["namespace"]}
        seen = {**involved, "resourceVersion": self.versions.get(involved["uid"], "")}
        path = f"/api/v1/namespaces/{meta['namespace']}/events"
        self._put(Write(_events_key(event), "POST", path, {**event, "metadata": name, "involvedObject": seen}))
        return str(meta["name"])

    def patch(self, event: Json) -> bool:
        meta = event["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/events/{meta['name']}"
        self._put(
            Write(
                _events_key(event), "PATCH", path, {name: event[name] for name in ("count", "lastTimestamp", "message")}
            )
        )
        return True


def _events_key(event: Json) -> str:
    return f"events of {event['involvedObject']['uid']}"
