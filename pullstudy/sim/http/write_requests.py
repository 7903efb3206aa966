"""Requests that write: create, delete and patch."""

from typing import Any

import msgspec
from aiohttp import web

from pullstudy.sim.api import admission, patching, status
from pullstudy.sim.api.listing import ListQuery, list_page, render
from pullstudy.sim.api.pods import request_deletion
from pullstudy.sim.api.resources import EVENTS, JOBS, NAMESPACES, PODS, Resource
from pullstudy.sim.api.shapes import check_shape
from pullstudy.sim.api.validation import check_names
from pullstudy.sim.cluster import SimCluster
from pullstudy.sim.http.read_requests import ReadRequests
from pullstudy.sim.http.requests import ApiPath, integer, json_answer, raw_answer, read_body

Json = dict[str, Any]


class WriteRequests:
    """Changes the objects of one cluster, as its controllers do."""

    def __init__(self, cluster: SimCluster, reading: ReadRequests) -> None:
        self._cluster = cluster
        self._api = cluster.api
        self._reading = reading

    async def create(self, request: web.Request, target: ApiPath) -> web.Response:
        resource, namespace = target.resource, target.namespace
        if "create" not in resource.verbs:
            raise status.method_not_allowed()
        if resource.namespaced:
            if namespace is None:
                raise status.method_not_allowed()
            self._api.get(NAMESPACES, "", namespace)
        body = await read_body(request)
        check_shape(resource, body)
        check_names(resource, body)
        if resource is EVENTS:
            return self._create_event(body, namespace)
        admitted = {
            JOBS.plural: lambda: admission.admit_job(body, str(namespace), self._cluster.identities),
            PODS.plural: lambda: admission.admit_pod(body, str(namespace)),
            NAMESPACES.plural: lambda: admission.admit_namespace(body),
        }[resource.plural]()
        return json_answer(self._api.create(resource, admitted), 201)

    def _create_event(self, body: Json, namespace: str | None) -> web.Response:
        event = {"kind": "Event", "apiVersion": "v1", **admission.admit_meta(body, namespace)}
        meta = event["metadata"]
        meta.setdefault("name", f"{meta.get('generateName', '')}{self._cluster.identities.suffix()}")
        if self._cluster.history.holds(EVENTS, (meta["namespace"], meta["name"])):
            raise status.already_exists(EVENTS.plural, EVENTS.group, meta["name"])
        for name, default in (("source", {}), ("involvedObject", {}), ("reason", ""), ("type", "")):
            event.setdefault(name, default)
        self._cluster.events.create(event)
        return json_answer(event, 201)

    async def delete(self, request: web.Request, target: ApiPath) -> web.Response:
        resource = target.resource
        obj = self._find(target)
        options = await read_body(request, optional=True)
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != obj["metadata"]["uid"]:
            raise status.conflict(resource.plural, str(target.name))
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy") or "Background"
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self._remove(resource, obj, policy, None if grace is None else integer(str(grace), "gracePeriodSeconds"))

    def _remove(self, resource: Resource, obj: Json, policy: str, grace: int | None) -> web.Response:
        if policy not in ("Background", "Foreground", "Orphan"):
            raise status.bad_request(f"invalid propagationPolicy: {policy}")
        if resource is JOBS:
            self._cluster.garbage.delete_job(obj, policy)
        elif resource is EVENTS:
            self._cluster.history.remove(EVENTS, obj)
        elif resource is PODS:
            request_deletion(self._api, obj, grace)
        elif resource is NAMESPACES:
            self._empty_namespace(obj["metadata"]["name"])
            self._api.delete(resource, obj)
        else:
            self._api.delete(resource, obj)
        if resource is not EVENTS and self._api.exists(resource, obj):
            return json_answer(obj)
        details = {"name": obj["metadata"]["name"], "kind": resource.plural, "uid": obj["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        return json_answer(status.success(details))

    def _empty_namespace(self, name: str) -> None:
        for resource in (JOBS, PODS):
            for (namespace, _), obj in list(self._api.all(resource).items()):
                if namespace == name:
                    self._remove(resource, obj, "Background", 0)

    def delete_collection(self, request: web.Request, target: ApiPath) -> web.Response:
        resource = target.resource
        if "deletecollection" not in resource.verbs:
            raise status.method_not_allowed()
        asked = ListQuery(keep=self._reading.keep(request, target))
        page = list_page(self._cluster.history, resource, asked)
        policy = request.query.get("propagationPolicy") or "Background"
        for entry in page.items:
            obj = self._api.find(resource, *entry.key)
            if obj is not None:
                self._remove(resource, obj, policy, None)
        head = len(resource.head)
        return raw_answer(render(resource, page, lambda data: b"{" + data[head:]))

    async def patch(self, request: web.Request, target: ApiPath) -> web.Response:
        resource = target.resource
        if "patch" not in resource.verbs:
            raise status.method_not_allowed()
        body = await read_body(request, any_type=True)
        if request.content_type == patching.APPLY_TYPE and not self._exists(target):
            return await self.create(request, target)
        obj = self._find(target)
        put = request.method == "PUT"
        changed = {**obj, **body} if put else patching.apply(obj, body, request.content_type)
        check_shape(resource, changed)
        check_names(resource, changed)
        version = changed["metadata"].get("resourceVersion")
        if version not in (None, "", obj["metadata"]["resourceVersion"]):
            raise status.conflict(resource.plural, str(target.name))
        for name in ("name", "namespace", "uid", "creationTimestamp"):
            if name in obj["metadata"]:
                changed["metadata"][name] = obj["metadata"][name]
        if resource is EVENTS:
            self._cluster.events.patch(changed)
            return json_answer(changed)
        # The live object stays the same dict: its controllers hold it.
        obj.clear()
        obj.update(changed)
        self._api.update(resource, obj)
        return json_answer(obj)

    def _exists(self, target: ApiPath) -> bool:
        held = self._cluster.history.entry(target.resource, target.namespace or "", str(target.name))
        return held is not None

    def _find(self, target: ApiPath) -> Json:
        """The live object; of an event, which nobody holds, a copy. Raises ApiFailureError 404 or 405."""
        resource, namespace, name = target.resource, target.namespace or "", str(target.name)
        if resource.group == "events.k8s.io":
            raise status.method_not_allowed()
        if resource is not EVENTS:
            return self._api.get(resource, namespace, name)
        entry = self._cluster.history.entry(EVENTS, namespace, name)
        if entry is None:
            raise status.not_found(EVENTS.plural, EVENTS.group, name)
        event: Json = msgspec.json.decode(entry.data)
        return event
