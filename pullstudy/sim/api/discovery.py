"""What a client asks before it asks for objects: version, groups, resources, health."""

from typing import Any

from pullstudy.sim.api.resources import JOBS, PODS, RESOURCES, Resource
from pullstudy.sim.api.version import KubernetesVersion

Json = dict[str, Any]

HEALTH_PATHS = frozenset({"/livez", "/readyz", "/healthz"})
REVIEWS = "selfsubjectaccessreviews"
RULES = "selfsubjectrulesreviews"
_EXTRA_GROUPS = {"authorization.k8s.io": "v1"}


def document(path: str, version: KubernetesVersion, address: str) -> Json | None:
    """The discovery document at this path, or None if there is none."""
    if path == "/version":
        return _version(version)
    if path == "/api":
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _groups()]}
    if path == "/openapi/v3":
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in _places()}}
    if path.startswith("/openapi/v3/") and (place := path.removeprefix("/openapi/v3/")) in _places():
        return _openapi(place)
    parts = path.strip("/").split("/")
    if path == "/api/v1":
        return _resource_list("", "v1")
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in _groups():
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1])}
    if parts[0] == "apis" and len(parts) == 3 and _groups().get(parts[1]) == parts[2]:
        return _resource_list(parts[1], parts[2])
    return None


def _places() -> dict[str, list[Resource]]:
    """Where the versions are, ``api/v1`` and the like, with what they serve."""
    found: dict[str, list[Resource]] = {}
    for resource in RESOURCES:
        found.setdefault(f"apis/{resource.api_version}" if resource.group else "api/v1", []).append(resource)
    return found


def _openapi(place: str) -> Json:
    """No schema: that the server looks at fields itself, which is what kubectl asks this for before it applies."""
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("fieldValidation",)]
    paths = {}
    for resource in _places()[place]:
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        action = {"parameters": parameters, "x-kubernetes-group-version-kind": kind, "responses": {}}
        paths[f"/{place}/{scope}{resource.plural}/{{name}}"] = {"patch": action}
    information = {"title": "simulated Kubernetes", "version": "v1"}
    return {"openapi": "3.0.0", "info": information, "paths": paths}


def _version(version: KubernetesVersion) -> Json:
    return {
        "major": "1",
        "minor": str(version.minor),
        "gitVersion": version.text,
        "gitCommit": "0" * 40,
        "gitTreeState": "simulated",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.24",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _groups() -> dict[str, str]:
    return {resource.group: resource.version for resource in RESOURCES if resource.group} | _EXTRA_GROUPS


def _group(name: str) -> Json:
    version = {"groupVersion": f"{name}/{_groups()[name]}", "version": _groups()[name]}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource_list(group: str, version: str) -> Json:
    served = [_resource(r) for r in RESOURCES if (r.group, r.version) == (group, version)]
    if group == "authorization.k8s.io":
        kinds = {REVIEWS: "SelfSubjectAccessReview", RULES: "SelfSubjectRulesReview"}
        common = {"singularName": "", "namespaced": False, "verbs": ["create"]}
        served = [{"name": name, "kind": kind, **common} for name, kind in kinds.items()]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": served}


def _resource(resource: Resource) -> Json:
    return {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        "shortNames": list(resource.short_names),
        # Of what ``kubectl get all`` lists, this is served.
        "categories": ["all"] if resource in (PODS, JOBS) else [],
    }
