"""Which fields of an object a field selector may name, by kind, and how they are read.

Kept as bare tuples beside each version of an object: many are kept, and lists are searched by them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Values = tuple[str, ...]


@dataclass(frozen=True)
class Fields:
    """``read`` gives the values in the order of ``names``."""

    names: tuple[str, ...]
    read: Callable[[Json], Values]


def _meta(obj: Json) -> Values:
    meta = obj["metadata"]
    return meta["name"], meta.get("namespace", "")


_META = ("metadata.name", "metadata.namespace")
_POD_SPEC = ("nodeName", "restartPolicy", "schedulerName", "serviceAccountName")
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _pod(obj: Json) -> Values:
    spec, status = obj["spec"], obj["status"]
    return (*_meta(obj), *[spec.get(name, "") for name in _POD_SPEC], status.get("phase", ""), status.get("podIP", ""))


def _event(obj: Json) -> Values:
    involved, reporter = obj["involvedObject"], obj.get("reportingComponent", "")
    source = obj["source"].get("component", "") or reporter
    return (*_meta(obj), *[involved.get(name, "") for name in _INVOLVED], obj["reason"], obj["type"], source, reporter)


NAMESPACE = Fields((*_META, "status.phase"), lambda obj: (*_meta(obj), obj["status"]["phase"]))
NODE = Fields(
    (*_META, "spec.unschedulable"),
    lambda obj: (*_meta(obj), str(obj["spec"].get("unschedulable", False)).lower()),
)
POD = Fields((*_META, *(f"spec.{name}" for name in _POD_SPEC), "status.phase", "status.podIP"), _pod)
JOB = Fields((*_META, "status.successful"), lambda obj: (*_meta(obj), str(obj["status"].get("succeeded", 0))))
# Source: kubernetes ``pkg/registry/core/event/strategy.go``
EVENT = Fields(
    (*_META, *(f"involvedObject.{name}" for name in _INVOLVED), "reason", "type", "source", "reportingComponent"),
    _event,
)
# What events.k8s.io calls the same fields.
NEW_EVENT_NAMES = {
    **{f"regarding.{name}": f"involvedObject.{name}" for name in _INVOLVED},
    "reportingController": "reportingComponent",
}
