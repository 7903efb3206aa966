"""An API server that answers what a test says, over loopback."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from driver.clusters.cluster_api import ClusterApi, open_cluster
from pullstudy.polling import Sleep

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedApi:
    """Answers a path in the order in which answers were put; the last one stays. Watches have a script of their own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.proven: list[str] = []  # versions
        self.closing = asyncio.Event()  # ends the watches that stay open
        self._answers: dict[tuple[str, str, bool], list[Answer]] = defaultdict(list)

    def say(self, path: str, body: Any, *, status: int = 200, method: str = "GET", **headers: str) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(body=json.dumps(body), status=status, headers=headers)

        self.answer(path, answer, method=method)

    def answer(self, path: str, answer: Answer, *, method: str = "GET", watch: bool = False) -> None:
        self._answers[method, path, watch].append(answer)

    def watch(self, path: str, *lines: Any, stay: bool = False, cut: int | None = None) -> None:
        """A watch that writes the lines and ends, or stays open; ``cut`` sends so many bytes at a time."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            text = "".join(json.dumps(line) + "\n" for line in lines).encode()
            step = cut or max(1, len(text))
            for start in range(0, len(text), step):
                await response.write(text[start : start + step])
            if stay:
                await self.closing.wait()
            return response

        self._answers["GET", path, True].append(answer)

    def refuse_watch(self, path: str, status: int) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response({"code": status, "message": "refused"}, status=status)

        self._answers["GET", path, True].append(answer)

    async def _prove(self, request: web.Request) -> web.StreamResponse:
        """A version is only asked whether it is known, before a watch: it is, where nothing else was put."""
        self.proven.append(request.query["resourceVersion"])
        answers = self._answers["PROVE", request.path, False]
        return await answers.pop(0)(request) if answers else web.json_response({})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if "resourceVersionMatch" in request.query:
            return await self._prove(request)
        watching = request.query.get("watch") == "true"
        version = f"@{request.query['resourceVersion']}" if watching else ""
        self.asked.append(f"{request.method} {request.path}{version}")
        answers = self._answers[request.method, request.path, watching]
        if not answers:
            return web.json_response({"code": 404, "message": f"no {request.path}"}, status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)


@asynccontextmanager
async def scripted(
    directory: Path, sleep: Sleep = asyncio.sleep, **options: Any
) -> AsyncIterator[tuple[ScriptedApi, ClusterApi]]:
    """The server, and the driver's client of it, with these ``options``."""
    script = ScriptedApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", script.handle)
    async with TestServer(application) as server:
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(json.dumps(kubeconfig_of(str(server.make_url("")))))
        async with open_cluster(kubeconfig, "default", sleep=sleep, **options) as api:
            try:
                yield script, api
            finally:
                script.closing.set()


def kubeconfig_of(url: str) -> dict[str, Any]:
    """A kubeconfig, which as JSON is YAML too."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url.rstrip("/")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
