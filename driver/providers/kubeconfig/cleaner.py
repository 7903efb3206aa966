"""Images removed from nodes by a Job that runs there, once, on demand: a pod a node, which says what it did.

The pod asks the node's own runtime through crictl, or where there is none ctr, on the node's file system; it names
the study's images and no others. It ends well only when the runtime lists none of them, and no container of them:
a dead one would keep the layers, and the next pull would not be cold. deploy/cache-clear.yaml is the same Job, to read.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from driver.cluster_api import ClusterApi, Sleep
from driver.errors import ProviderError
from driver.job import MANAGED_BY
from driver.objects import Pod

POLL_SECONDS = 0.25
SLOWEST_POLL_SECONDS = 5.0
NAME = "pullstudy-clear"

SCRIPT = r"""
host() { chroot /host "$@"; }
said() { echo "$1" | tee /dev/termination-log; }
has() { chroot /host sh -c 'command -v "$0"' "$1" >/dev/null 2>&1 || [ -x "/host/usr/bin/$1" ]; }
end=$(( $(date +%s) + WAIT ))
if has crictl; then
  cri() { host crictl -r "unix://$SOCKET" "$@"; }
  for image in "$@"; do
    cri inspecti -q "$image" >/dev/null 2>&1 || continue
    for dead in $(cri ps -a -q --state exited --image "$image"); do cri rm "$dead" >/dev/null; done
    cri rmi "$image" || true
  done
  for image in "$@"; do
    if cri inspecti -q "$image" >/dev/null 2>&1; then said "left: $image"; exit 1; fi
  done
  cri version >/dev/null 2>&1 || { said "crictl does not reach $SOCKET"; exit 1; }
  said "gone by crictl"
elif has ctr; then
  ctr() { host ctr -a "$SOCKET" -n k8s.io "$@"; }
  ctr version >/dev/null 2>&1 || { said "ctr does not reach $SOCKET"; exit 1; }
  for image in "$@"; do
    # The kubelet takes dead containers away within a minute; their snapshots hold the layers until then.
    while ctr containers ls | awk -v i="$image" '$2 == i { found = 1 } END { exit !found }'; do
      [ "$(date +%s)" -lt "$end" ] || { said "in use: $image"; exit 1; }
      sleep 1
    done
    digest=$(ctr images ls | awk -v i="$image" '$1 == i { print $3 }')
    [ -n "$digest" ] || continue
    ctr images rm --sync $(ctr images ls | awk -v d="$digest" '$3 == d { print $1 }')
  done
  for image in "$@"; do
    if ctr images ls -q | grep -qxF "$image"; then said "left: $image"; exit 1; fi
  done
  said "gone by ctr"
else
  said "the node has neither crictl nor ctr; set kubeconfig.clear_command in study.toml"; exit 1
fi
"""

ROOT = {"runAsUser": 0, "capabilities": {"add": ["SYS_CHROOT"]}}


class Cleaner:
    """Clears nodes that share a label. Raises ProviderError, ApiError."""

    def __init__(
        self,
        api: ClusterApi,
        node_selector: dict[str, str],
        *,
        image: str,
        socket: str,
        limit_seconds: float,
        pull_secrets: Sequence[str] = (),
        sleep: Sleep,
        draw: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._api = api
        self._node_selector = node_selector
        self._image = image
        self._socket = socket
        self._limit_seconds = limit_seconds
        self._pull_secrets = pull_secrets
        self._sleep = sleep
        self._draw = draw

    async def clear(self, images: Sequence[str], size: int) -> frozenset[str]:
        """The nodes whose runtime says that it has none of the images: all ``size`` of them."""
        # Its pods are not named as an Indexed Job's: their own pulls then belong to no job of the study.
        name = f"{NAME}-x{self._draw()}"
        await self._api.create_job(self.manifest(name, images, size))
        try:
            return await self._wait(name, size)
        finally:
            await self._api.delete_job(name)

    async def _wait(self, name: str, size: int) -> frozenset[str]:
        pause, waited = POLL_SECONDS, 0.0
        while True:
            pods = await self._api.pods(name)
            done = {pod.spec.node_name or "" for pod in pods if pod.status.phase == "Succeeded"}
            if len(done) >= size:
                return frozenset(done)
            failed = [pod for pod in pods if pod.status.phase == "Failed"]
            if failed:
                raise ProviderError(f"clearing the image caches: node {failed[0].spec.node_name}: {_said(failed[0])}")
            if waited >= self._limit_seconds:
                raise ProviderError(
                    f"clearing the image caches: {len(done)} of {size} nodes are clear after"
                    f" {self._limit_seconds:.0f} s; {_waits_for(pods, done)}"
                )
            await self._sleep(pause)
            waited += pause
            pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)

    def manifest(self, name: str, images: Sequence[str], size: int) -> dict[str, Any]:
        """The Job: one pod a node, wherever a pod of the study could run, tainted or not."""
        labels = {**self._node_selector, **MANAGED_BY, "pullstudy/job": name}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": self._api.namespace, "labels": labels},
            "spec": {
                "completions": size,
                "parallelism": size,
                "backoffLimit": 0,
                "activeDeadlineSeconds": max(1, round(self._limit_seconds)),
                "template": {"metadata": {"labels": labels}, "spec": self._pod_spec(name, images)},
            },
        }

    def _pod_spec(self, name: str, images: Sequence[str]) -> dict[str, Any]:
        apart = {"labelSelector": {"matchLabels": {"pullstudy/job": name}}, "topologyKey": "kubernetes.io/hostname"}
        spec: dict[str, Any] = {
            "restartPolicy": "Never",
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": self._node_selector,
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
            "volumes": [{"name": "host", "hostPath": {"path": "/", "type": "Directory"}}],
            "containers": [
                {
                    "name": "clear",
                    "image": self._image,
                    "command": ["sh", "-c", SCRIPT, "clear", *images],
                    "env": [
                        {"name": "SOCKET", "value": self._socket},
                        {"name": "WAIT", "value": str(max(1, round(self._limit_seconds * 0.8)))},
                    ],
                    "securityContext": ROOT,
                    "volumeMounts": [{"name": "host", "mountPath": "/host"}],
                }
            ],
        }
        if self._pull_secrets:
            spec["imagePullSecrets"] = [{"name": secret} for secret in self._pull_secrets]
        return spec


def _said(pod: Pod) -> str:
    ended = (status.state.terminated for status in pod.status.container_statuses)
    said = next((state.message.strip() for state in ended if state is not None and state.message), "")
    return said or pod.status.message or "the cleaner said nothing"


def _waits_for(pods: Iterable[Pod], done: set[str]) -> str:
    for pod in pods:
        if (pod.spec.node_name or "") in done and pod.spec.node_name:
            continue
        for status in pod.status.container_statuses:
            if status.state.waiting is not None and status.state.waiting.message:
                return f"node {pod.spec.node_name}: {status.state.waiting.reason}: {status.state.waiting.message}"
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and not condition.true:
                return f"a pod has no node: {condition.message}"
    return "its pods say no reason"
