"""Names, labels and references that the API server refuses, all of an object at once.

Source: kubernetes ``pkg/apis/core/validation/validation.go`` and ``pkg/apis/batch/validation/validation.go``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from pullstudy.pulls.kubernetes_names import label_fault, label_key_fault, label_value_fault, subdomain_fault
from pullstudy.sim.api import status
from pullstudy.sim.api.resources import JOBS, NAMESPACES, PODS, Resource
from pullstudy.sim.api.status import Cause

Json = dict[str, Any]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_LONGEST_ANNOTATIONS = 256 * 1024  # bytes of an object's keys and values


def check_names(resource: Resource, obj: Json) -> None:
    """Of an object whose shape was checked. Raises ApiFailureError 422."""
    meta = obj.get("metadata") or {}
    spec = obj.get("spec") or {}
    causes = list(_metadata(meta, "metadata", label_fault if resource is NAMESPACES else subdomain_fault))
    if resource is PODS:
        causes += _pod_spec(spec, "spec")
    elif resource is JOBS:
        template = spec.get("template") or {}
        causes += _labels(template.get("metadata") or {}, "spec.template")
        causes += _pod_spec(template.get("spec") or {}, "spec.template.spec")
    if causes:
        raise status.invalid_fields(resource.kind, resource.group, meta.get("name") or "", causes)


def _metadata(meta: Json, field: str, fault: Callable[[str], str | None]) -> Iterator[Cause]:
    name, prefix = meta.get("name"), meta.get("generateName")
    if name and (wrong := fault(name)):
        yield _invalid(f"{field}.name", name, wrong)
    # Of a name that is made up from it, - and . at the end are not the end.
    if prefix and not name and (wrong := fault(f"{prefix.removesuffix('-')}a")):
        yield _invalid(f"{field}.generateName", prefix, wrong)
    yield from _labels(meta, field)


def _labels(meta: Json, field: str) -> Iterator[Cause]:
    yield from _label_map(meta.get("labels") or {}, f"{field}.labels")
    annotations: Mapping[str, str] = meta.get("annotations") or {}
    for key in annotations:
        if wrong := label_key_fault(key.lower()):
            yield _invalid(f"{field}.annotations", key, wrong)
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _LONGEST_ANNOTATIONS:
        yield Cause(f"{field}.annotations", f"Too long: may not be more than {_LONGEST_ANNOTATIONS} bytes")


def _label_map(labels: Mapping[str, str], field: str) -> Iterator[Cause]:
    for key, value in labels.items():
        if wrong := label_key_fault(key):
            yield _invalid(field, key, wrong)
        if wrong := label_value_fault(value):
            yield _invalid(field, value, wrong)


def _pod_spec(spec: Json, field: str) -> Iterator[Cause]:
    yield from _label_map(spec.get("nodeSelector") or {}, f"{field}.nodeSelector")
    containers = spec.get("containers") or []
    if not containers:
        yield Cause(f"{field}.containers", "Required value")
    seen: set[str] = set()
    for position, container in enumerate(containers):
        yield from _container(container, f"{field}.containers[{position}]", seen)


def _container(container: Json, field: str, seen: set[str]) -> Iterator[Cause]:
    name, image = container.get("name") or "", container.get("image") or ""
    if not name:
        yield Cause(f"{field}.name", "Required value")
    elif wrong := label_fault(name):
        yield _invalid(f"{field}.name", name, wrong)
    elif name in seen:
        yield Cause(f"{field}.name", f"Duplicate value: {_quoted(name)}")
    seen.add(name)
    # What else is wrong with a reference is for the kubelet to say.
    if not image:
        yield Cause(f"{field}.image", "Required value")
    elif image != image.strip():
        yield _invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("imagePullPolicy") or _PULL_POLICIES[0]
    if policy not in _PULL_POLICIES:
        supported = ", ".join(map(_quoted, _PULL_POLICIES))
        yield Cause(f"{field}.imagePullPolicy", f"Unsupported value: {_quoted(policy)}: supported values: {supported}")


def _invalid(field: str, value: str, wrong: str) -> Cause:
    return Cause(field, f"Invalid value: {_quoted(value)}: {wrong}")


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()
