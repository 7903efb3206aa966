"""A small API server of events and pods over loopback HTTP, which misbehaves as it is told.

It keeps a history of revisions as etcd does: a watch replays it from any version that was not compacted away, and a
list shows the last state. Faults are answers given in place of the next ones: ``server.instead["watch"].append(...)``.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.collector.polling import until

KINDS = ("list", "watch", "prove", "identity", "reason", "stream")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Revision = tuple[int, str, dict[str, Any]]


def status(code: int, message: str, *, retry_after: int | None = None) -> dict[str, Any]:
    """A Status object."""
    details = {"retryAfterSeconds": retry_after} if retry_after is not None else {}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "code": code,
        "details": details,
    }


def initial_end(version: int) -> bytes:
    """The line that ends a list inside a watch."""
    metadata = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return json.dumps({"type": "BOOKMARK", "object": {"kind": "Event", "metadata": metadata}}).encode() + b"\n"


def refuse(code: int, message: str = "no", headers: dict[str, str] | None = None) -> Answer:
    """An answer that is an HTTP error."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(status(code, message), status=code, headers=headers)

    return answer


def stream(*pieces: bytes) -> Answer:
    """A watch that says this and is closed in good order."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return answer


def in_stream(code: int, message: str, *, retry_after: int | None = None) -> Answer:
    """A watch that is answered 200 and then an ERROR line."""
    return stream(
        json.dumps({"type": "ERROR", "object": status(code, message, retry_after=retry_after)}).encode() + b"\n"
    )


async def cut(request: web.Request) -> web.StreamResponse:
    """The connection is reset before any answer. On a connection that is reused, aiohttp tries once more by itself."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(request: web.Request) -> web.StreamResponse:
    """A half-open connection: an answer's head, then neither data nor an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    return response


class Objects:
    """The objects of one path, their history, and what to answer instead."""

    def __init__(self) -> None:
        self.streams = False  # lists inside watches
        self.version = 100
        self.compacted = 0  # versions below this are gone
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[Revision] = []
        self.instead: dict[str, deque[Answer]] = {kind: deque() for kind in KINDS}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._changed = asyncio.Condition()
        self._watches: list[web.Request] = []
        self._pages: dict[str, tuple[int, list[dict[str, Any]]]] = {}

    def asked(self, kind: str) -> list[dict[str, str]]:
        """The queries of this kind so far."""
        return [query for asked, query in self.requests if asked == kind]

    async def put(self, item: dict[str, Any]) -> int:
        """The event is made, or updated in place where its uid is known. Returns its version."""
        uid = item["metadata"]["uid"]
        return await self._revise("MODIFIED" if uid in self.objects else "ADDED", item)

    async def delete(self, uid: str) -> int:
        return await self._revise("DELETED", self.objects[uid])

    async def _revise(self, kind: str, item: dict[str, Any]) -> int:
        async with self._changed:
            self.version += 1
            item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
            if kind == "DELETED":
                del self.objects[item["metadata"]["uid"]]
            else:
                self.objects[item["metadata"]["uid"]] = item
            self.history.append((self.version, kind, item))
            self._changed.notify_all()
        return self.version

    def compact(self) -> None:
        """Other objects were written, and what happened before can no longer be watched."""
        self.version += 10
        self.compacted = self.version
        self.history.clear()

    async def cut_watches(self) -> None:
        """Every watch that is open loses its connection."""
        for request in list(self._watches):
            if request.transport is not None:
                request.transport.abort()

    @property
    def watches(self) -> int:
        """How many are open."""
        return len(self._watches)

    async def until_watched(self) -> None:
        await until(lambda: self.watches > 0)

    # -- answers ---------------------------------------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """To a list, a watch, or the question for a version; a list of one reason's events is of a kind of its own."""
        kind = "watch" if "watch" in request.query else "prove" if "resourceVersion" in request.query else "list"
        if request.query.get("fieldSelector", "").startswith("reason="):
            kind = "reason"
        if "sendInitialEvents" in request.query:
            kind = "stream"
        self.requests.append((kind, dict(request.query)))
        if self.instead[kind]:
            return await self.instead[kind].popleft()(request)
        if kind == "prove" and int(request.query["resourceVersion"]) > self.version:
            return await refuse(504, f"Too large resource version: {request.query['resourceVersion']}")(request)
        if kind == "stream" and not self.streams:
            return await refuse(422, "sendInitialEvents: Forbidden: unless the WatchList feature gate is enabled")(
                request
            )
        if kind == "stream":
            return await self.watch(request, initial=list(self.objects.values()))
        return await (self.watch(request) if kind == "watch" else self.list_page(request))

    async def list_page(self, request: web.Request) -> web.StreamResponse:
        """The honest answer."""
        token = request.query.get("continue")
        version, items = self._pages.pop(token) if token else (self.version, self._selected(request))
        limit = int(request.query.get("limit", "0")) or len(items)
        rest = items[limit:]
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if rest:
            metadata["continue"] = f"page-{version}-{len(rest)}"
            self._pages[metadata["continue"]] = (version, rest)
        bare = [{name: item[name] for name in item if name not in ("kind", "apiVersion")} for item in items[:limit]]
        return web.json_response({"kind": "EventList", "apiVersion": "v1", "metadata": metadata, "items": bare})

    def _selected(self, request: web.Request) -> list[dict[str, Any]]:
        field, _, reason = request.query.get("fieldSelector", "").partition("=")
        items = self.objects.values()
        return [item for item in items if field != "reason" or item.get("reason") == reason]

    async def watch(self, request: web.Request, initial: list[dict[str, Any]] | None = None) -> web.StreamResponse:
        """The honest answer; ``initial`` comes first, and its end."""
        version = int(request.query.get("resourceVersion", self.version))
        if version < self.compacted:
            return await in_stream(410, f"too old resource version: {version} ({self.compacted})")(request)
        response = web.StreamResponse()
        await response.prepare(request)
        if initial is not None:
            for item in reversed(initial):  # in no order of version, as real servers send them
                await response.write(json.dumps({"type": "ADDED", "object": item}).encode() + b"\n")
            await response.write(initial_end(version))
        self._watches.append(request)
        try:
            async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                while True:
                    version = await self._tell_after(version, response)
        except TimeoutError:
            return response
        finally:
            self._watches.remove(request)

    async def _tell_after(self, version: int, response: web.StreamResponse) -> int:
        async with self._changed:
            # A version from beyond the server's own is never reached: silence, as on a real server.
            await self._changed.wait_for(lambda: any(number > version for number, _, _ in self.history))
            news = [revision for revision in self.history if revision[0] > version]
        for _, kind, item in news:
            await response.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
        return news[-1][0]


class ApiServer(Objects):
    """Events, and beside them pods and the namespace that tells the cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.uid = "11111111-1111-4111-8111-111111111111"
        self.url = ""
        self.pods = Objects()

    async def answer_identity(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(("identity", dict(request.query)))
        if self.instead["identity"]:
            return await self.instead["identity"].popleft()(request)
        return await self.identity(request)

    async def identity(self, request: web.Request) -> web.StreamResponse:
        """The honest answer."""
        name = request.match_info["namespace"]
        return web.json_response({"kind": "Namespace", "metadata": {"name": name, "uid": self.uid}})


@asynccontextmanager
async def serving(server: ApiServer, port: int = 0) -> AsyncIterator[ApiServer]:
    """The server, on a port of loopback."""
    app = web.Application()
    for prefix in ("/api/v1", "/api/v1/namespaces/{namespace}"):
        app.router.add_get(f"{prefix}/events", server.answer)
        app.router.add_get(f"{prefix}/pods", server.pods.answer)
    app.router.add_get("/api/v1/namespaces/{namespace}", server.answer_identity)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def write_kubeconfig(path: Path, url: str, token: str | None = None) -> Path:
    """A kubeconfig for the server, with a user that has the token, if any."""
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": {"server": url}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "users": [{"name": "test", "user": {"token": token} if token else {}}],
            }
        )
    )
    return path
