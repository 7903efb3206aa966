"""What kubectl prints of an object: a Table of meta.k8s.io, where a client asks for one (``;as=Table`` in Accept).

Source: the columns of kubernetes' pkg/printers/internalversion; those of priority 1 are for ``-o wide``.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pullstudy.sim.api.resources import EVENTS, JOBS, NAMESPACES, NODES, PODS, Resource

Json = dict[str, Any]
Cells = Callable[[Json, datetime], tuple[Any, ...]]

_NONE = "<none>"
_ROLE = "node-role.kubernetes.io/"


def wanted(accept: str) -> bool:
    return "as=Table" in accept


def table(resource: Resource, objects: Iterable[Json], meta: Json, now: datetime, *, whole: bool = False) -> Json:
    """Of these objects, in their order; ``whole``: each row with all of its object, which a client sorts by."""
    columns, cells = _PRINTERS[resource.plural]
    definitions = [
        {"name": name.lstrip("+"), "type": "string", "format": "", "description": "", "priority": int(name[0] == "+")}
        for name in columns
    ]
    for each in definitions:
        each["format"] = "name" if each["name"] == "Name" else ""
    rows = [{"cells": list(cells(obj, now)), "object": obj if whole else _partial(obj)} for obj in objects]
    kind = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
    return {**kind, "metadata": meta, "columnDefinitions": definitions, "rows": rows}


def _partial(obj: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def human(span: timedelta) -> str:
    """As apimachinery's duration.HumanDuration: ``45s``, ``3m20s``, ``12m``, ``5h``, ``3d``."""
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes = seconds // 60
    if minutes < 10 and seconds % 60:
        return f"{minutes}m{seconds % 60}s"
    if minutes < 180:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 2 * 24 * 60 else f"{minutes // 60 // 24}d"


def _since(stamp: str | None, now: datetime) -> str:
    return human(now - _at(stamp)) if stamp else "<unknown>"


def _at(stamp: str) -> datetime:
    at = datetime.fromisoformat(stamp)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _namespace(obj: Json, now: datetime) -> tuple[Any, ...]:
    meta = obj["metadata"]
    return meta["name"], (obj.get("status") or {}).get("phase", "Active"), _since(meta["creationTimestamp"], now)


def _node(obj: Json, now: datetime) -> tuple[Any, ...]:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    addresses = {each["type"]: each["address"] for each in status.get("addresses") or ()}
    info = status.get("nodeInfo") or {}
    return (
        meta["name"],
        _readiness(status, spec),
        ",".join(key.removeprefix(_ROLE) for key in meta.get("labels") or () if key.startswith(_ROLE)) or _NONE,
        _since(meta["creationTimestamp"], now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", _NONE),
        addresses.get("ExternalIP", _NONE),
        info.get("osImage", "<unknown>"),
        info.get("kernelVersion", "<unknown>"),
        info.get("containerRuntimeVersion", "<unknown>"),
    )


def _readiness(status: Json, spec: Json) -> str:
    ready = [each["status"] for each in status.get("conditions") or () if each["type"] == "Ready"]
    word = {"True": "Ready", "False": "NotReady"}.get(ready[0], "NotReady") if ready else "Unknown"
    return f"{word},SchedulingDisabled" if spec.get("unschedulable") else word


def _pod(obj: Json, now: datetime) -> tuple[Any, ...]:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    containers = status.get("containerStatuses") or []
    return (
        meta["name"],
        f"{sum(bool(each.get('ready')) for each in containers)}/{len(spec['containers'])}",
        _pod_word(meta, status, containers),
        str(sum(each.get("restartCount", 0) for each in containers)),
        _since(meta["creationTimestamp"], now),
        status.get("podIP") or _NONE,
        spec.get("nodeName") or _NONE,
    )


def _pod_word(meta: Json, status: Json, containers: list[Json]) -> str:
    if meta.get("deletionTimestamp"):
        return "Terminating"
    for each in containers:
        state = each.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        if reason:
            return str(reason)
    return str(status.get("phase", "Pending"))


def _job(obj: Json, now: datetime) -> tuple[Any, ...]:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    held = [each["type"] for each in status.get("conditions") or () if each["status"] == "True"]
    word = next((each for each in ("Complete", "Failed", "Suspended") if each in held), "Running")
    begun, ended = status.get("startTime"), status.get("completionTime")
    containers = spec["template"]["spec"]["containers"]
    return (
        meta["name"],
        word,
        f"{status.get('succeeded', 0)}/{spec.get('completions') or 1}",
        human((_at(ended) if ended else now) - _at(begun)) if begun else "",
        _since(meta["creationTimestamp"], now),
        ",".join(each["name"] for each in containers),
        ",".join(each["image"] for each in containers),
    )


def _event(obj: Json, now: datetime) -> tuple[Any, ...]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    seen = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
    name = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    message = obj.get("message") or obj.get("note") or ""
    return _since(seen, now), obj.get("type", ""), obj.get("reason", ""), name, message.strip(), obj["metadata"]["name"]


_PRINTERS: dict[str, tuple[tuple[str, ...], Cells]] = {
    NAMESPACES.plural: (("Name", "Status", "Age"), _namespace),
    NODES.plural: (
        (
            *("Name", "Status", "Roles", "Age", "Version"),
            *("+Internal-IP", "+External-IP", "+OS-Image", "+Kernel-Version", "+Container-Runtime"),
        ),
        _node,
    ),
    PODS.plural: (("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node"), _pod),
    JOBS.plural: (("Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images"), _job),
    EVENTS.plural: (("Last Seen", "Type", "Reason", "Object", "Message", "+Name"), _event),
}
