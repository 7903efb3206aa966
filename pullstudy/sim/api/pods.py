"""Pod objects: made from a job's template, and the status that scheduler and kubelet write on them."""

from typing import Any

from pullstudy.sim.api.apiserver import ApiServer
from pullstudy.sim.api.resources import PODS

Json = dict[str, Any]

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX_KEY = "batch.kubernetes.io/job-completion-index"

_SPEC_DEFAULTS: Json = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "tolerations": [
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        },
    ],
}
_CONTAINER_DEFAULTS: Json = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def with_defaults(spec: Json) -> Json:
    """A pod spec as admission leaves it."""
    return {
        **_SPEC_DEFAULTS,
        **spec,
        "containers": [
            {**_CONTAINER_DEFAULTS, "imagePullPolicy": _default_policy(container["image"]), **container}
            for container in spec["containers"]
        ],
    }


def _default_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if "@" not in image and tag in ("", "latest") else "IfNotPresent"


def new_status() -> Json:
    return {"phase": "Pending", "qosClass": "BestEffort"}


def is_terminal(pod: Json) -> bool:
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def is_running(pod: Json) -> bool:
    """All containers of a running pod run, or it has ended: our kubelets say nothing in between."""
    return bool(pod["status"]["phase"] == "Running")


def is_terminating(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def set_condition(pod: Json, kind: str, value: bool, stamp: str, reason: str = "", message: str = "") -> None:
    """Write one of status.conditions anew, keeping the moment of its last change where the value stays."""
    conditions = pod["status"].setdefault("conditions", [])
    text = "True" if value else "False"
    condition: Json = {"type": kind, "status": text, "lastProbeTime": None, "lastTransitionTime": stamp}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    for position, old in enumerate(conditions):
        if old["type"] == kind:
            if old["status"] == text:
                condition["lastTransitionTime"] = old["lastTransitionTime"]
            conditions[position] = condition
            return
    conditions.append(condition)


def request_deletion(api: ApiServer, pod: Json, grace_seconds: int | None = None) -> None:
    """What DELETE does: a pod on no node goes at once, another is marked and left to its kubelet."""
    if not api.exists(PODS, pod) or is_terminating(pod):
        return
    meta = pod["metadata"]
    grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace_seconds is None else grace_seconds
    waits = bool(pod["spec"].get("nodeName")) and grace > 0
    if not waits and not meta.get("finalizers"):
        api.delete(PODS, pod)
        return
    meta["deletionTimestamp"] = api.clock.stamp(float(grace))
    meta["deletionGracePeriodSeconds"] = grace
    api.update(PODS, pod)


def drop_finalizer(api: ApiServer, pod: Json) -> None:
    """Take the job controller's mark off; a pod that only waited for that is gone with it."""
    meta = pod["metadata"]
    if TRACKING_FINALIZER not in meta.get("finalizers", ()):
        return
    meta["finalizers"] = [name for name in meta["finalizers"] if name != TRACKING_FINALIZER]
    if not meta["finalizers"]:
        del meta["finalizers"]
    api.update(PODS, pod)
