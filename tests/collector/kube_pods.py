"""Pods as a kubelet tells their status, as JSON objects, and the events of their pulls."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.collector.kube_events import event

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DIGEST = "sha256:" + "cd" * 32
IMAGE = "registry.example/app:1"


def stamp(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def waits(reason: str, message: str = "") -> dict[str, Any]:
    """A container's state: it waits."""
    return {"waiting": {"reason": reason, "message": message}}


def runs(since_seconds: float = 10) -> dict[str, Any]:
    """A container's state: it runs, so its image is there."""
    return {"running": {"startedAt": stamp(since_seconds)}}


def pod(
    name: str,
    *states: dict[str, Any],
    created_seconds: float = 0,
    node: str = "n1",
    images: Sequence[str] = (),
    policy: str = "IfNotPresent",
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A pod of one container a state, c0, c1 ...; each of ``images`` where given, else all of one."""
    containers, statuses = [], []
    for index, state in enumerate(states):
        image = images[index] if images else IMAGE
        image_id = "" if "waiting" in state else f"registry.example/app@{DIGEST}"
        containers.append({"name": f"c{index}", "image": image, "imagePullPolicy": policy})
        statuses.append({"name": f"c{index}", "image": image, "imageID": image_id, "state": state, "restartCount": 0})
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "creationTimestamp": stamp(created_seconds),
            "annotations": annotations or {},
        },
        "spec": {"nodeName": node, "containers": containers},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


def told(name: str, container: str | None, message: str, *, reason: str = "Pulled", uid: str = "") -> dict[str, Any]:
    """An event of the pod's container."""
    made = event(1, reason=reason, message=message, uid=f"event-{reason}-{name}-{container}")
    path = {"fieldPath": f"spec.containers{{{container}}}"} if container else {"fieldPath": None}
    made["involvedObject"] |= {"name": name, "uid": uid or f"uid-{name}", **path}
    return made


def pulled(name: str, container: str | None = "c0", image: str = IMAGE, **more: Any) -> dict[str, Any]:
    return told(name, container, f'Successfully pulled image "{image}" in 1s (1s including waiting)', **more)
