"""The Kubernetes REST API over HTTP: paths, verbs and bodies turned into calls on the cluster."""

import random
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sim.api import admission, discovery, patching, selectors, status
from sim.api.event_forms import as_seen_at
from sim.api.history import Entry
from sim.api.listing import INCONSISTENT, ContinueToken, ListQuery, list_page, parse_token, render
from sim.api.resources import EVENTS, JOBS, NAMESPACES, NODES, PODS, Resource
from sim.api.watching import Watch
from sim.cluster import Cluster
from sim.control.pods import request_deletion
from sim.faults.http import HttpFaults
from sim.faults.kinds import EmptyWatches
from sim.http.exchange import Target, flag, integer, json_answer, raw_answer, read_body, version_asked
from sim.http.streams import Stream, Streams
from sim.node.configz import configz

Json = dict[str, Any]

DEFAULT_WATCH_SECONDS = 1800.0  # --min-request-timeout: a watch without timeoutSeconds ends after this or up to twice


class RestApi:
    """Answers for one cluster."""

    def __init__(
        self, cluster: Cluster, streams: Streams, faults: HttpFaults, seconds_a_virtual_second: float | None
    ) -> None:
        """The last is None where time runs as fast as it can: timeoutSeconds are real seconds then."""
        self._cluster = cluster
        self._api = cluster.api
        self._streams = streams
        self._faults = faults
        self._pace = seconds_a_virtual_second
        self._random = random.Random(cluster.settings.seed)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request outside the admin side. Raises ApiError."""
        path = request.path.rstrip("/") or "/"
        if path in discovery.HEALTH_PATHS:
            return web.Response(text="ok")
        document = discovery.document(path, self._cluster.settings.version, request.host)
        if document is not None:
            return json_answer(document)
        if path.endswith(f"/{discovery.REVIEWS}") and request.method == "POST":
            return await self._review(request)
        target = Target.of(path)
        if target is None:
            raise status.no_such_path()
        watching = flag(request, "watch")
        listing = request.method == "GET" and target.name is None
        action = "watch" if listing and watching else "list" if listing else "other"
        refusal = self._faults.refusal(action, target.resource.plural)
        if refusal is not None:
            raise refusal
        if action == "watch":
            return await self._watch(request, target)
        if action == "list":
            return self._list(request, target)
        return await self._other(request, target)

    async def _review(self, request: web.Request) -> web.Response:
        review = await read_body(request)
        asked = (review.get("spec") or {}).get("resourceAttributes") or {}
        forbidden = self._faults.forbids(asked.get("verb", ""), asked.get("resource", ""))
        return json_answer(_reviewed(review, forbidden), 201)

    async def _other(self, request: web.Request, target: Target) -> web.Response:
        match request.method, target.name:
            case "GET", str():
                return self._get(target)
            case "POST", None:
                return await self._create(request, target)
            case "DELETE", None:
                return self._delete_collection(request, target)
            case "DELETE", str():
                return await self._delete(request, target)
            case (("PATCH" | "PUT"), str()):
                return await self._patch(request, target)
        raise status.method_not_allowed()

    # Reading

    def _get(self, target: Target) -> web.Response:
        resource, name = target.resource, str(target.name)
        entry = self._cluster.history.entry(resource, target.namespace or "", name)
        if entry is None:
            raise status.not_found(resource.plural, resource.group, name)
        if resource is NODES and target.subresource == "proxy/configz":
            parameters = self._cluster.settings.parameters
            return json_answer(configz(parameters.kubelet, parameters.times))
        if target.subresource not in (None, "status"):
            raise status.no_such_path()
        return raw_answer(as_seen_at(resource, entry.data) + b"\n")

    def _keep(self, request: web.Request, target: Target) -> Callable[[Entry], bool] | None:
        """Scope and selectors as one test, or None where all of the kind is meant. Raises ApiError 400."""
        resource, namespace = target.resource, target.namespace
        known = resource.field_names | frozenset(resource.field_aliases)
        text = request.query.get("fieldSelector", "")
        for alias, name in resource.field_aliases.items():
            text = text.replace(alias, name)
        try:
            labels = selectors.parse_labels(request.query.get("labelSelector", ""))
            fields = selectors.parse_fields(text, known)
        except selectors.SelectorError as error:
            raise status.bad_request(str(error)) from error
        if namespace is None and labels is None and fields is None:
            return None

        def keep(entry: Entry) -> bool:
            return (
                (namespace is None or entry.key[0] == namespace)
                and (labels is None or labels(entry.labels))
                and (fields is None or fields(entry.fields(resource)))
            )

        return keep

    def _list(self, request: web.Request, target: Target) -> web.Response:
        resource, query = target.resource, request.query
        token = query.get("continue", "")
        if token and self._faults.page_expired():
            raise status.expired_continue(ContinueToken(INCONSISTENT, parse_token(token).start).text())
        asked = ListQuery(
            keep=self._keep(request, target),
            limit=integer(query.get("limit", ""), "limit"),
            continue_token=token,
            version=query.get("resourceVersion", ""),
            match=query.get("resourceVersionMatch", ""),
        )
        page = list_page(self._cluster.history, resource, asked)
        if self._faults.list_doubled(resource.plural):
            page.items.extend(list(page.items))
        head = len(resource.head)
        return raw_answer(render(resource, page, lambda data: b"{" + as_seen_at(resource, data)[head:]))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        resource, query = target.resource, request.query
        if flag(request, "sendInitialEvents"):
            why = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            raise status.invalid("ListOptions", "meta.k8s.io", "", "sendInitialEvents", why)
        watch = Watch(self._cluster.history, resource, self._keep(request, target))
        met = self._faults.watch_opening(resource.plural)
        gone = status.too_old(version_asked(query), self._cluster.history.version)
        if met is not None and not isinstance(met, EmptyWatches) and met.how == "status":
            raise gone
        seconds = self._watch_seconds(integer(query.get("timeoutSeconds", ""), "timeoutSeconds"))
        stream = Stream(watch, resource.plural, resource.bookmarks and flag(request, "allowWatchBookmarks"))
        try:
            first = watch.start(query.get("resourceVersion", ""))
        except status.ApiError as error:
            if error.code != 410:
                raise
            first = iter(())
            stream.fail(error)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        await response.prepare(request)
        if isinstance(met, EmptyWatches):
            return response
        if met is not None:
            stream.fail(gone)
        await self._streams.serve(request, response, stream, first, seconds)
        return response

    def _watch_seconds(self, asked: int) -> float:
        seconds = float(asked) or DEFAULT_WATCH_SECONDS * self._random.uniform(1.0, 2.0)
        return seconds if self._pace is None else seconds * self._pace

    # Writing

    async def _create(self, request: web.Request, target: Target) -> web.Response:
        resource, namespace = target.resource, target.namespace
        if "create" not in resource.verbs:
            raise status.method_not_allowed()
        if resource.namespaced:
            if namespace is None:
                raise status.method_not_allowed()
            self._api.get(NAMESPACES, "", namespace)
        body = await read_body(request)
        if resource is EVENTS:
            event = {"kind": "Event", "apiVersion": "v1", **admission.admit_meta(body, namespace)}
            for name, default in (("source", {}), ("involvedObject", {}), ("reason", ""), ("type", "")):
                event.setdefault(name, default)
            self._cluster.events.create(event)
            return json_answer(event, 201)
        admitted = {
            JOBS.plural: lambda: admission.admit_job(body, str(namespace), self._cluster.identities),
            PODS.plural: lambda: admission.admit_pod(body, str(namespace)),
            NAMESPACES.plural: lambda: admission.admit_namespace(body),
        }[resource.plural]()
        return json_answer(self._api.create(resource, admitted), 201)

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        resource = target.resource
        obj = self._api.get(resource, target.namespace or "", str(target.name))
        options = await read_body(request, optional=True)
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != obj["metadata"]["uid"]:
            raise status.conflict(resource.plural, str(target.name))
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy") or "Background"
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self._remove(resource, obj, policy, int(grace) if grace is not None else None)

    def _remove(self, resource: Resource, obj: Json, policy: str, grace: int | None) -> web.Response:
        if policy not in ("Background", "Foreground", "Orphan"):
            raise status.bad_request(f"invalid propagationPolicy: {policy}")
        if resource is JOBS:
            self._cluster.garbage.delete_job(obj, policy)
        elif resource is PODS:
            request_deletion(self._api, obj, grace)
        elif resource is NAMESPACES:
            self._empty_namespace(obj["metadata"]["name"])
            self._api.delete(resource, obj)
        else:
            self._api.delete(resource, obj)
        if self._api.exists(resource, obj):
            return json_answer(obj)
        details = {"name": obj["metadata"]["name"], "kind": resource.plural, "uid": obj["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        return json_answer(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    def _empty_namespace(self, name: str) -> None:
        for resource in (JOBS, PODS):
            for (namespace, _), obj in list(self._api.all(resource).items()):
                if namespace == name:
                    self._remove(resource, obj, "Background", 0)

    def _delete_collection(self, request: web.Request, target: Target) -> web.Response:
        resource = target.resource
        if "deletecollection" not in resource.verbs:
            raise status.method_not_allowed()
        asked = ListQuery(keep=self._keep(request, target))
        page = list_page(self._cluster.history, resource, asked)
        policy = request.query.get("propagationPolicy") or "Background"
        for entry in page.items:
            obj = self._api.find(resource, *entry.key)
            if obj is not None:
                self._remove(resource, obj, policy, None)
        head = len(resource.head)
        return raw_answer(render(resource, page, lambda data: b"{" + data[head:]))

    async def _patch(self, request: web.Request, target: Target) -> web.Response:
        resource = target.resource
        if "patch" not in resource.verbs:
            raise status.method_not_allowed()
        obj = self._api.get(resource, target.namespace or "", str(target.name))
        body = await read_body(request, any_type=True)
        put = request.method == "PUT"
        changed = {**obj, **body} if put else patching.apply(obj, body, request.content_type)
        version = changed["metadata"].get("resourceVersion")
        if version not in (None, "", obj["metadata"]["resourceVersion"]):
            raise status.conflict(resource.plural, str(target.name))
        for name in ("name", "namespace", "uid", "creationTimestamp"):
            if name in obj["metadata"]:
                changed["metadata"][name] = obj["metadata"][name]
        # The live object stays the same dict: its controllers hold it.
        obj.clear()
        obj.update(changed)
        self._api.update(resource, obj)
        return json_answer(obj)


def _reviewed(review: Json, forbidden: bool) -> Json:
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": review.get("spec", {}),
        "status": {"allowed": not forbidden, "reason": "a fault was ordered" if forbidden else "all is allowed"},
    }
