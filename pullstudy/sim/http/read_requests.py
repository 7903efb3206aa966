"""Requests that read: get, list and watch."""

import random
from collections.abc import Callable

import msgspec
from aiohttp import web

from pullstudy.sim.api import selectors, status, tables
from pullstudy.sim.api.event_forms import as_seen_at
from pullstudy.sim.api.history import ObjectVersion
from pullstudy.sim.api.listing import INCONSISTENT, ContinueToken, ListQuery, list_page, parse_token, render
from pullstudy.sim.api.resources import NODES, Resource
from pullstudy.sim.api.watching import WatchCursor
from pullstudy.sim.cluster import SimCluster
from pullstudy.sim.faults.http import HttpFaults
from pullstudy.sim.faults.kinds import EmptyWatches
from pullstudy.sim.http.requests import ApiPath, flag, integer, json_answer, raw_answer, version_asked
from pullstudy.sim.http.streams import Stream, Streams
from pullstudy.sim.node.configz import configz

DEFAULT_WATCH_SECONDS = 1800.0  # --min-request-timeout: a watch without timeoutSeconds ends after this or up to twice


class ReadRequests:
    """Answers from the history of one cluster."""

    def __init__(
        self, cluster: SimCluster, streams: Streams, faults: HttpFaults, seconds_a_virtual_second: float | None
    ) -> None:
        """The last is None where time runs as fast as it can: timeoutSeconds are real seconds then."""
        self._cluster = cluster
        self._streams = streams
        self._faults = faults
        self._pace = seconds_a_virtual_second
        self._random = random.Random(cluster.settings.seed)

    def _table(
        self, request: web.Request, resource: Resource, items: list[bytes], meta: dict[str, str | int]
    ) -> web.Response:
        objects = [msgspec.json.decode(as_seen_at(resource, data)) for data in items]
        whole = request.query.get("includeObject") == "Object"
        return json_answer(tables.table(resource, objects, meta, self._cluster.clock.at(), whole=whole))

    def get(self, request: web.Request, target: ApiPath) -> web.Response:
        resource, name = target.resource, str(target.name)
        entry = self._cluster.history.entry(resource, target.namespace or "", name)
        if entry is None:
            raise status.not_found(resource.plural, resource.group, name)
        if resource is NODES and target.subresource == "proxy/configz":
            parameters = self._cluster.settings.parameters
            return json_answer(configz(parameters.kubelet, parameters.times))
        if target.subresource not in (None, "status"):
            raise status.no_such_path()
        if tables.wanted(request.headers.get("Accept", "")):
            return self._table(request, resource, [entry.data], {})
        return raw_answer(as_seen_at(resource, entry.data) + b"\n")

    def keep(self, request: web.Request, target: ApiPath) -> Callable[[ObjectVersion], bool] | None:
        """Scope and selectors as one test, or None where all of the kind is meant. Raises ApiFailureError 400."""
        resource, namespace = target.resource, target.namespace
        text = request.query.get("fieldSelector", "")
        for alias, name in resource.field_aliases.items():
            text = text.replace(alias, name)
        try:
            labels = selectors.parse_labels(request.query.get("labelSelector", ""))
            fields = selectors.parse_fields(text, resource.fields.names)
        except selectors.SelectorError as error:
            raise status.bad_request(str(error)) from error
        if namespace is None and labels is None and fields is None:
            return None

        def keep(entry: ObjectVersion) -> bool:
            return (
                (namespace is None or entry.key[0] == namespace)
                and (labels is None or labels(entry.labels))
                and (fields is None or fields(entry.fields))
            )

        return keep

    def list(self, request: web.Request, target: ApiPath) -> web.Response:
        resource, query = target.resource, request.query
        token = query.get("continue", "")
        if token and self._faults.page_expired():
            raise status.expired_continue(ContinueToken(INCONSISTENT, parse_token(token).start).text())
        asked = ListQuery(
            keep=self.keep(request, target),
            limit=integer(query.get("limit", ""), "limit"),
            continue_token=token,
            version=query.get("resourceVersion", ""),
            match=query.get("resourceVersionMatch", ""),
        )
        page = list_page(self._cluster.history, resource, asked)
        if self._faults.list_doubled(resource.plural):
            page.items.extend(list(page.items))
        if tables.wanted(request.headers.get("Accept", "")):
            return self._table(request, resource, [entry.data for entry in page.items], page.meta)
        head = len(resource.head)
        return raw_answer(render(resource, page, lambda data: b"{" + as_seen_at(resource, data)[head:]))

    async def watch(self, request: web.Request, target: ApiPath) -> web.StreamResponse:
        resource, query = target.resource, request.query
        if flag(request, "sendInitialEvents"):
            why = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            raise status.invalid("ListOptions", "meta.k8s.io", "", "sendInitialEvents", why)
        watch = WatchCursor(self._cluster.history, resource, self.keep(request, target))
        met = self._faults.watch_opening(resource.plural)
        gone = status.too_old(version_asked(query), self._cluster.history.version)
        if met is not None and not isinstance(met, EmptyWatches) and met.how == "status":
            raise gone
        seconds = self._watch_seconds(integer(query.get("timeoutSeconds", ""), "timeoutSeconds"))
        stream = Stream(watch, resource.plural, resource.bookmarks and flag(request, "allowWatchBookmarks"))
        try:
            first = watch.start(query.get("resourceVersion", ""))
        except status.ApiFailureError as error:
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
