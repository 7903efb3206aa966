"""Pods that do nothing but need an image: what a study's job makes on a real node."""

from collections.abc import Sequence
from typing import Any


def pod(
    name: str,
    images: Sequence[str],
    *,
    node: str | None = None,
    policy: str = "IfNotPresent",
    secret: str | None = None,
) -> dict[str, Any]:
    """A pod of one container an image, each of which ends at once; the scheduler chooses where ``node`` is None.

    ``secret`` is the name of the secret, of type kubernetes.io/dockerconfigjson, to pull with.
    """
    containers = [
        {"name": f"c{index}", "image": image, "args": ["exit"], "imagePullPolicy": policy}
        for index, image in enumerate(images)
    ]
    spec: dict[str, Any] = {
        "containers": containers,
        "restartPolicy": "Never",
        "hostNetwork": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
    }
    if node is not None:
        spec["nodeName"] = node
    if secret is not None:
        spec["imagePullSecrets"] = [{"name": secret}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
