"""Images removed from nodes by a DaemonSet that is made for it, on demand, and deleted when each of its pods is done.

A pod asks its node's own runtime (clear_images.sh); it names the study's images and no others, and is done only when
the runtime holds nothing of them any more: no image, no container, no pull under way. A Job would not do: a pod that
is over lets its sibling onto its node, and another node is left out. deploy/cache-clear.yaml is the same, to read.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from driver.clusters.cache import canonical
from driver.clusters.cluster_api import ClusterApi
from driver.clusters.labels import CONTAINER, JOB_LABEL, MANAGED_BY
from driver.errors import ProviderError
from pullstudy.kube.objects import Page
from pullstudy.polling import Pace, Sleep, polls
from pullstudy.pulls.pod import Pod, Terminated

PACE = Pace(0.25, 5.0, factor=1.25)
REFUSED_AFTER_SECONDS = 5.0  # without a pod, the controller's events are asked why; a new namespace refuses a moment
LOST_AFTER_SECONDS = 15.0  # from then on, nodes are looked at too
NAME = "pullstudy-clear"

_pods = msgspec.json.Decoder(Page[Pod]).decode


class Cleaner:
    """Clears nodes that share labels; with no label all of them. Raises ProviderError, ApiError."""

    def __init__(
        self,
        api: ClusterApi,
        node_selector: dict[str, str],
        *,
        image: str,
        socket: str,
        limit_seconds: float,
        pull_secrets: Sequence[str] = (),
        resources: Mapping[str, Any] | None = None,
        sleep: Sleep,
        draw: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        """``resources`` are what a namespace with a quota asks of each container."""
        self._api = api
        self._node_selector = node_selector
        self._image = image
        self._socket = socket
        self._limit_seconds = limit_seconds
        self._pull_secrets = pull_secrets
        self._resources = {"resources": dict(resources)} if resources else {}
        self._sleep = sleep
        self._draw = draw

    async def clear(self, images: Sequence[str], size: int) -> frozenset[str]:
        """The nodes whose runtime says that it has none of the images: all ``size`` but those lost meanwhile."""
        # Its pods are not named as an Indexed Job's: their own pulls then belong to no job of the study.
        name = f"{NAME}-x{self._draw()}"
        await self._api.create(daemon_sets(self._api), self.manifest(name, images))
        try:
            return await self._wait(name, size)
        finally:
            await self._api.delete(f"{daemon_sets(self._api)}/{name}?propagationPolicy=Background")

    async def _wait(self, name: str, size: int) -> frozenset[str]:
        async for waited in polls(PACE, self._limit_seconds, sleep=self._sleep):
            page = await self._api.list_objects(self._api.pods_path, ("labelSelector", f"{JOB_LABEL}={name}"), _pods)
            ends = [(pod, ended) for pod in page.objects if (ended := _ended(pod)) is not None]
            for pod, ended in ends:
                if ended.exit_code != 0:
                    said = ended.message.strip() or "the cleaner said nothing"
                    raise ProviderError(f"clearing the image caches: node {pod.spec.node_name}: {said}")
            done = frozenset(pod.spec.node_name or "" for pod, _ in ends)
            if len(done) >= size or (waited >= LOST_AFTER_SECONDS and await self._ready_nodes() <= done):
                return done
            if not page.objects and waited >= REFUSED_AFTER_SECONDS:
                await self._raise_if_refused(name)
        if len(page.objects) < size:
            await self._raise_if_refused(name)
        raise ProviderError(
            f"clearing the image caches: {len(done)} of {size} nodes are clear after"
            f" {self._limit_seconds:.0f} s; {_waits_for(page.objects, done)}"
        )

    async def _ready_nodes(self) -> set[str]:
        """A node that is lost meanwhile does no more: it is looked at when it is back."""
        return {node.metadata.name for node in await self._api.nodes() if node.ready}

    async def _raise_if_refused(self, name: str) -> None:
        for said in await self._api.pod_refusals(name):
            raise ProviderError(
                f"clearing the image caches: {said}; allow it in namespace {self._api.namespace},"
                " or set kubeconfig.clear_command in study.toml"
            )

    def manifest(self, name: str, images: Sequence[str]) -> dict[str, Any]:
        """The DaemonSet: a pod on each node of the run, tainted or not."""
        labels = {**self._node_selector, **MANAGED_BY, JOB_LABEL: name}
        return {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": self._api.namespace, "labels": labels},
            "spec": {
                "selector": {"matchLabels": {JOB_LABEL: name}},
                "template": {"metadata": {"labels": labels}, "spec": self._pod_spec(images)},
            },
        }

    def _pod_spec(self, images: Sequence[str]) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": self._node_selector,
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "host", "hostPath": {"path": "/", "type": "Directory"}}],
            "initContainers": [self._clearing(images)],
            # A DaemonSet's pods have to stay: what ends is started again.
            "containers": [
                {"name": "done", "image": self._image, "command": ["sleep", "2147483647"], **self._resources}
            ],
        }
        if self._pull_secrets:
            spec["imagePullSecrets"] = [{"name": secret} for secret in self._pull_secrets]
        return spec

    def _clearing(self, images: Sequence[str]) -> dict[str, Any]:
        settings = {
            "SOCKET": self._socket,
            "NAMESPACE": self._api.namespace,
            "CONTAINER": CONTAINER,
            "WAIT": str(
                max(1, round(self._limit_seconds * 0.8))
            ),  # so that the pod says why before the driver gives up
        }
        uid = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
        return {
            "name": "clear",
            "image": self._image,
            "command": ["sh", "-c", script(), "clear", *map(canonical, images)],
            "env": [*({"name": name, "value": value} for name, value in settings.items()), uid],
            "securityContext": {"runAsUser": 0, "capabilities": {"add": ["SYS_CHROOT"]}},
            "volumeMounts": [{"name": "host", "mountPath": "/host"}],
            **self._resources,
        }


def script() -> str:
    """What a pod runs."""
    return files(__package__).joinpath("clear_images.sh").read_text(encoding="utf-8")


def daemon_sets(api: ClusterApi) -> str:
    """Where the API has those of the study's namespace."""
    return f"/apis/apps/v1/namespaces/{api.namespace}/daemonsets"


def _ended(pod: Pod) -> Terminated | None:
    """The end of the clearing, also where the kubelet has begun it anew after a failure."""
    for status in pod.status.init_container_statuses:
        return status.state.terminated or status.last_state.terminated
    return None


def _waits_for(pods: Iterable[Pod], done: frozenset[str]) -> str:
    for pod in pods:
        if (pod.spec.node_name or "") in done and pod.spec.node_name:
            continue
        for status in pod.status.every_status():
            if status.state.waiting is not None and status.state.waiting.message:
                return f"node {pod.spec.node_name}: {status.state.waiting.reason}: {status.state.waiting.message}"
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and not condition.true:
                return f"a pod has no node: {condition.message}"
    return "its pods say no reason"
