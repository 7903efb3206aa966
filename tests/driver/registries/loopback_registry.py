"""A registry on loopback that speaks the distribution API, with what it was asked for; and what it may do wrong."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def manifest(*sizes: int) -> bytes:
    """Of an image with layers of these bytes."""
    layers = [{"digest": digest_of(str(size).encode()), "size": size, "mediaType": "layer"} for size in sizes]
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers}).encode()


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def index(**digests: str) -> bytes:
    """Of manifests by architecture."""
    entries = [
        {"digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
        for architecture, digest in digests.items()
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}).encode()


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """On loopback: its host and port."""
    server: Any = TestServer(app)
    await server.start_server()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.close()


class LoopbackRegistry:
    """``manifests`` by repository and reference; a ``challenge`` of None is a registry for everyone."""

    def __init__(self) -> None:
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.challenge: str | None = None  # "Bearer" or "Basic"
        self.login = ""  # the Authorization that gives a token, or the manifest; empty: none is needed
        self.redirect: str | None = None
        self.redirected: dict[str, str] = {}  # a reference to another address
        self.status = 200
        self.seen: list[tuple[str, str | None]] = []  # path and Authorization of each request
        self.netloc = ""

    def put(self, repository: str, tag: str, body: bytes) -> str:
        self.manifests[repository, tag] = self.manifests[repository, digest_of(body)] = body
        return digest_of(body)

    def image(self, repository: str, tag: str) -> str:
        return f"{self.netloc}/{repository}:{tag}"

    async def _serve(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization")
        self.seen.append((request.path, given))
        if self.redirect is not None:
            return web.Response(status=307, headers={"Location": self.redirect})
        wanted = {"Bearer": "Bearer t0ken", "Basic": self.login}.get(self.challenge or "")
        if wanted and given != wanted:
            realm = f'{self.challenge} realm="http://{self.netloc}/token",service="loopback"'
            return web.Response(status=401, headers={"www-authenticate": realm})
        if (elsewhere := self.redirected.get(request.match_info["reference"])) is not None:
            raise web.HTTPTemporaryRedirect(elsewhere)
        body = self.manifests.get((request.match_info["repository"], request.match_info["reference"]))
        if body is None or self.status != 200:
            return web.Response(status=404 if self.status == 200 else self.status)
        return web.Response(body=body, headers={"Docker-Content-Digest": digest_of(body)})

    async def _token(self, request: web.Request) -> web.Response:
        self.seen.append((request.path_qs, request.headers.get("Authorization")))
        if self.login and request.headers.get("Authorization") != self.login:
            return web.Response(status=401)
        return web.json_response({"token": "t0ken"})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["LoopbackRegistry"]:
        app = web.Application()
        app.add_routes(
            [
                web.get("/v2/{repository:.+}/manifests/{reference}", self._serve),
                web.get("/token", self._token),
                web.get("/{other:.*}", self._serve_other),
            ]
        )
        async with served(app) as self.netloc:
            yield self

    async def _serve_other(self, request: web.Request) -> web.Response:
        self.seen.append((request.path, request.headers.get("Authorization")))
        return web.Response(body=manifest(5))
