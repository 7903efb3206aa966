"""The table of what the simulated API serves: groups, kinds, verbs, and which fields a selector may name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Fields = dict[str, str]


@dataclass(frozen=True)
class Resource:
    """One kind at one address. ``store_key`` is where its objects are kept: two addresses may show one object."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    fields: Callable[[Json], Fields]
    field_names: frozenset[str]
    short_names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("get", "list", "watch")
    bookmarks: bool = True
    field_aliases: dict[str, str] = field(default_factory=dict)

    @property
    def store_key(self) -> str:
        return self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def head(self) -> bytes:
        """How each encoded object begins, as Go's encoder orders it; a list's items come without it."""
        return f'{{"kind":"{self.kind}","apiVersion":"{self.api_version}",'.encode()


_META = frozenset({"metadata.name", "metadata.namespace"})


def _meta_fields(obj: Json) -> Fields:
    meta = obj["metadata"]
    return {"metadata.name": meta["name"], "metadata.namespace": meta.get("namespace", "")}


def _pod_fields(obj: Json) -> Fields:
    spec, status = obj["spec"], obj["status"]
    return {
        **_meta_fields(obj),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.phase": status.get("phase", ""),
        "status.podIP": status.get("podIP", ""),
    }


def _job_fields(obj: Json) -> Fields:
    return {**_meta_fields(obj), "status.successful": str(obj["status"].get("succeeded", 0))}


def _node_fields(obj: Json) -> Fields:
    return {**_meta_fields(obj), "spec.unschedulable": str(obj["spec"].get("unschedulable", False)).lower()}


def _namespace_fields(obj: Json) -> Fields:
    return {"metadata.name": obj["metadata"]["name"], "status.phase": obj["status"]["phase"]}


_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def event_fields(obj: Json) -> Fields:
    """What field selectors on events may ask for (kubernetes ``pkg/registry/core/event/strategy.go``)."""
    involved = obj["involvedObject"]
    named = {f"involvedObject.{name}": involved.get(name, "") for name in _INVOLVED}
    return {
        **_meta_fields(obj),
        **named,
        "reason": obj["reason"],
        "type": obj["type"],
        "source": obj["source"].get("component", "") or obj.get("reportingComponent", ""),
        "reportingComponent": obj.get("reportingComponent", ""),
    }


_EVENT_NAMES = frozenset(
    {*_META, *(f"involvedObject.{name}" for name in _INVOLVED), "reason", "type", "source", "reportingComponent"}
)
_REGARDING = {f"regarding.{name}": f"involvedObject.{name}" for name in _INVOLVED}

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", False, _namespace_fields, frozenset({"metadata.name", "status.phase"}),
    ("ns",), ("create", "delete", "get", "list", "patch", "watch"),
)  # fmt: skip
NODES = Resource(
    "", "v1", "nodes", "Node", False, _node_fields, _META | {"spec.unschedulable"},
    ("no",), ("delete", "get", "list", "patch", "watch"),
)  # fmt: skip
PODS = Resource(
    "", "v1", "pods", "Pod", True, _pod_fields,
    _META | {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
             "status.phase", "status.podIP"},
    ("po",), ("create", "delete", "deletecollection", "get", "list", "patch", "watch"),
)  # fmt: skip
JOBS = Resource(
    "batch", "v1", "jobs", "Job", True, _job_fields, _META | {"status.successful"}, (),
    ("create", "delete", "deletecollection", "get", "list", "patch", "watch"),
)  # fmt: skip
# Events have no watch cache in the API server: no bookmarks come with time.
EVENTS = Resource(
    "", "v1", "events", "Event", True, event_fields, _EVENT_NAMES, ("ev",),
    ("create", "delete", "get", "list", "patch", "watch"), bookmarks=False,
)  # fmt: skip
NEW_EVENTS = Resource(
    "events.k8s.io", "v1", "events", "Event", True, event_fields,
    _EVENT_NAMES | frozenset(_REGARDING) | {"reportingController"}, ("ev",), ("get", "list", "watch"),
    bookmarks=False, field_aliases={**_REGARDING, "reportingController": "reportingComponent"},
)  # fmt: skip

RESOURCES: tuple[Resource, ...] = (NAMESPACES, NODES, PODS, EVENTS, JOBS, NEW_EVENTS)


def find(group: str, version: str, plural: str) -> Resource | None:
    for resource in RESOURCES:
        if (resource.group, resource.version, resource.plural) == (group, version, plural):
            return resource
    return None
