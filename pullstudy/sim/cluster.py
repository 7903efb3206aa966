"""One simulated cluster, put together: clock, API server, controllers, kubelets, model, truth."""

import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.api.apiserver import ApiServer, Identities
from pullstudy.sim.api.history import History
from pullstudy.sim.api.pods import request_deletion
from pullstudy.sim.api.resources import JOBS, NAMESPACES, NODES, PODS
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.control.garbage_collector import GarbageCollector
from pullstudy.sim.control.job_controller import JobController
from pullstudy.sim.control.scheduler import Scheduler
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.events.registry import EventRegistry
from pullstudy.sim.faults.cluster import ClusterFaults
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.parameters import EKS, ModelParameters
from pullstudy.sim.model.pull_model import PullModel
from pullstudy.sim.node import nodes
from pullstudy.sim.node.image_puller import ImagePuller
from pullstudy.sim.node.kubelet import Kubelet, Kubelets
from pullstudy.sim.node.messages import Messages
from pullstudy.sim.node.truth import Truth
from pullstudy.sim.time.clock import Urgency, VirtualClock
from pullstudy.sim.tracing.outbox import SpanOutbox
from pullstudy.sim.tracing.pull_tracer import PullTracer
from pullstudy.sim.tracing.traced_pulls import TracedPulls

Json = dict[str, Any]

INITIAL_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
NODE_GRACE_SECONDS = 40.0  # --node-monitor-grace-period: until a silent node is given up
EVICTION_SECONDS = 300.0  # the toleration that every pod gets for an unreachable node


@dataclass(frozen=True)
class ClusterSettings:
    """What a cluster is. ``start_at`` None is the real now."""

    name: str
    nodes: int
    seed: int = 0
    start_at: datetime | None = None
    version: KubernetesVersion = field(default_factory=lambda: KubernetesVersion.parse("1.34.4"))
    parameters: ModelParameters = EKS
    first_version: int = 1000  # resource version at birth
    keep_revisions: int = 12_000  # about 25 MB; a client that is slower than this meets 410
    keep_seconds: float | None = None  # compaction by time: 300 on a real server (--etcd-compaction-interval)
    slow_share: float = 0.0  # of the nodes
    slow_factor: float = 1.5
    images: Mapping[str, ImageSize] = field(default_factory=dict)  # by reference; others go by their names
    traced_layers: int | None = None  # of each image, whose pulls send spans (TracedPulls); None: all pulls do


class SimCluster:
    """Everything behind the API. Nothing here waits: time is moved from outside."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        start_at = settings.start_at or datetime.now(UTC)
        self.clock = VirtualClock(start_at)
        # Uids must differ between two lives of a cluster of the same name: a store knows a pull by its event's uid.
        life = zlib.crc32(f"{settings.name} {settings.nodes} {self.clock.unix_ns()}".encode())
        self.identities = Identities(random.Random(settings.seed << 32 | life))
        self.random = random.Random(settings.seed)
        self.history = History(self.clock, settings.first_version, settings.keep_revisions, settings.keep_seconds)
        self.api = ApiServer(self.clock, self.history, self.identities)
        self.truth = Truth()
        self.faults = ClusterFaults(random.Random(settings.seed + 1))
        control = settings.parameters.control
        self.events = EventRegistry(self.clock, self.history, self.identities, control.event_seconds)
        self._images = ImageCatalogue(settings.images)
        self.fleet = nodes.Fleet(self.api, self._images)
        self.outbox = SpanOutbox()
        self.recorders: dict[str, Recorder] = {}
        self.kubelets = Kubelets(self.api)
        self.scheduler = Scheduler(self.api, self._recorder("default-scheduler"), control, self.random)
        minor = settings.version.minor
        self.jobs = JobController(self.api, self._recorder("job-controller"), control, minor)
        self.garbage = GarbageCollector(self.api, control)
        self.api.listen(PODS, self._forget_deleted)
        self.api.listen(JOBS, self._forget_deleted)
        self._create_objects()

    def _forget_deleted(self, kind: str, obj: Json) -> None:
        if kind == "DELETED":
            for name in ("default-scheduler", "job-controller", (obj["spec"].get("nodeName"))):
                if name in self.recorders:
                    self.recorders[name].forget(obj["metadata"]["uid"])

    def _recorder(self, component: str, node: str = "") -> Recorder:
        kubelet = self.settings.parameters.kubelet
        # Control plane components have a client of their own for events: 50 a second here too.
        rate, burst = (kubelet.event_record_qps, kubelet.event_burst) if node else (50.0, 100.0)
        recorder = Recorder(self.clock, self.events, component, node, rate, burst, self.faults.interference)
        self.recorders[node or component] = recorder
        return recorder

    def _create_objects(self) -> None:
        for name in INITIAL_NAMESPACES:
            meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
            spec, status = {"finalizers": ["kubernetes"]}, {"phase": "Active"}
            self.api.create(NAMESPACES, {"metadata": meta, "spec": spec, "status": status})
        source = random.Random(f"{self.settings.seed} {self.settings.name}")
        model = PullModel(self.clock, self.settings.parameters, self.random, source)
        tracer = self._tracer()
        for index in range(self.settings.nodes):
            self._add_node(index, model, tracer)
        self.fleet.slow_down(self.settings.slow_share, self.settings.slow_factor, self.random)
        self.clock.every(self.settings.parameters.times.image_report_seconds, self.fleet.report_images)

    def _tracer(self) -> PullTracer:
        settings = self.settings
        names = [nodes.node_name(index) for index in range(settings.nodes)]
        traced = TracedPulls(settings.traced_layers, names, settings.seed)
        source = random.Random(f"spans {settings.seed} {self.clock.unix_ns()} {settings.name}")
        return PullTracer(self.clock, source, traced, self.faults, self.outbox)

    def _add_node(self, index: int, model: PullModel, tracer: PullTracer) -> None:
        settings = self.settings
        node, obj = nodes.make_node(
            index, settings.name, settings.parameters, settings.version, self.clock.stamp(), settings.seed
        )
        self.fleet.add(node, obj)
        recorder, wording = self._recorder("kubelet", node.name), Messages(settings.version)
        puller = ImagePuller(
            self.clock, node, model, recorder, self.truth, wording, settings.parameters.kubelet, self.faults,
            self.fleet.note_images, self._images, tracer,
        )  # fmt: skip
        self.kubelets.add(
            Kubelet(self.api, node, puller, recorder, wording, settings.parameters, self.random, self.faults.exit_code)
        )

    @property
    def identity(self) -> str:
        """The uid of kube-system, by which clients know a cluster again."""
        return str(self.api.get(NAMESPACES, "", "kube-system")["metadata"]["uid"])

    def skew(self, pattern: str, seconds: float) -> list[str]:
        chosen = self._named(pattern)
        for name in chosen:
            self.fleet[name].skew_seconds = self.recorders[name].skew_seconds = seconds
        return chosen

    def slow_down(self, pattern: str | None, share: float, factor: float) -> list[str]:
        if pattern is None:
            return self.fleet.slow_down(share, factor, self.random)
        chosen = self._named(pattern)
        for name in chosen:
            self.fleet[name].slowdown = factor
        return chosen

    def _named(self, pattern: str) -> list[str]:
        return [node.name for node in self.fleet.all() if fnmatchcase(node.name, pattern)]

    def lose_nodes(self, pattern: str) -> list[str]:
        """Switch machines off. The control plane finds out after a while, and later gives their pods up."""
        chosen = self._named(pattern)
        for name in chosen:
            self.kubelets[name].lose()
            self.clock.call_later(NODE_GRACE_SECONDS, partial(self._give_up, name), Urgency.PATIENT)
        return chosen

    def _give_up(self, name: str) -> None:
        obj = self.api.find(NODES, "", name)
        if obj is not None:
            nodes.set_ready(self.api, obj, ready=False)
        self.clock.call_later(EVICTION_SECONDS, lambda: self._evict(name), Urgency.PATIENT)

    def _evict(self, name: str) -> None:
        for pod in list(self.api.all(PODS).values()):
            if pod["spec"].get("nodeName") == name:
                request_deletion(self.api, pod)


def successor(settings: ClusterSettings, name: str | None) -> ClusterSettings:
    """Another cluster of the same size: other uids, and a version that starts lower."""
    return replace(
        settings, name=name or settings.name, seed=settings.seed + 1, first_version=max(1, settings.first_version // 10)
    )
