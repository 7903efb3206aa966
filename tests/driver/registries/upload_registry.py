"""A registry on loopback that takes images, by the distribution specification; and what may go wrong on the way."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.driver.registries.loopback_registry import digest_of, served


class UploadRegistry:
    """Holds blobs and manifests by repository. What is to go wrong is set beforehand, and happens once for each."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[tuple[str, str]] = []  # method and path
        self.taken = 0  # bytes of blobs that came in, also those that came to nothing
        self.ranges: list[str] = []  # Content-Range of each upload that has one
        self.cuts: list[int] = []  # after so many bytes of the next uploads the connection is cut
        self.forgets = False  # how far an upload came that was cut
        self.cuts_after_end = 0  # so many answers to the end of an upload are lost
        self.answers: dict[str, list[tuple[int, dict[str, str], str]]] = {}  # by method, before it does anything
        self.uploads_at = ""  # another host's address
        self.claims: str | None = None  # the digest that it says it stored
        self.login = ""  # the Authorization that gives a token; empty: none is asked for
        self.token_uses = 1_000_000  # after which a token has come to its end
        self.tokens: dict[str, int] = {}
        self.scopes: list[str] = []
        self.seen_logins: set[str | None] = set()
        self.netloc = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["UploadRegistry"]:
        app = web.Application(client_max_size=1 << 30)
        app.add_routes(
            [
                web.route("*", "/v2/{repository:.+}/blobs/uploads/{upload}", self._guarded(self._upload)),
                web.post("/v2/{repository:.+}/blobs/uploads/", self._guarded(self._begin)),
                web.get("/v2/{repository:.+}/blobs/{digest}", self._guarded(self._blob)),
                web.route("*", "/v2/{repository:.+}/manifests/{reference}", self._guarded(self._manifest)),
                web.get("/token", self._token),
            ]
        )
        async with served(app) as self.netloc:
            yield self

    def _guarded(self, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self.requests.append((request.method, request.path))
            given = request.headers.get("Authorization")
            self.seen_logins.add(given)
            if self.login and not self._knows(given):
                realm = f'Bearer realm="http://{self.netloc}/token",service="loopback"'
                return web.Response(status=401, headers={"WWW-Authenticate": realm})
            if planned := self.answers.get(request.method):
                status, headers, text = planned.pop(0)
                return web.Response(status=status, headers=headers, text=text)
            answer: web.StreamResponse = await handler(request)
            return answer

        return guarded

    def _knows(self, given: str | None) -> bool:
        token = (given or "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) <= 0:
            return False
        self.tokens[token] -= 1
        return True

    async def _token(self, request: web.Request) -> web.Response:
        self.scopes.append(request.query["scope"])
        if request.headers.get("Authorization") != self.login:
            return web.Response(status=401)
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = self.token_uses
        return web.json_response({"token": token})

    async def _blob(self, request: web.Request) -> web.Response:
        body = self.blobs.get((request.match_info["repository"], request.match_info["digest"]))
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, headers={"Docker-Content-Digest": request.match_info["digest"]})

    def _location(self, request: web.Request, upload: str) -> dict[str, str]:
        host = self.uploads_at or f"http://{self.netloc}"
        return {"Location": f"{host}/v2/{request.match_info['repository']}/blobs/uploads/{upload}?_state=s"}

    async def _begin(self, request: web.Request) -> web.Response:
        upload = uuid.uuid4().hex
        self.uploads[upload] = bytearray()
        return web.Response(status=202, headers=self._location(request, upload))

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        upload = request.match_info["upload"]
        if upload not in self.uploads:
            return web.Response(status=404)
        if request.method == "PATCH":
            return await self._patch(request, upload)
        if request.method == "PUT":
            return self._end(request, upload)
        last = max(0, len(self.uploads[upload]) - 1)
        return web.Response(status=204, headers={**self._location(request, upload), "Range": f"0-{last}"})

    async def _patch(self, request: web.Request, upload: str) -> web.StreamResponse:
        body = self.uploads[upload]
        if told := request.headers.get("Content-Range"):
            self.ranges.append(told)
            if not told.startswith(f"{len(body)}-"):
                return web.Response(status=416)
        elif body:
            return web.Response(status=416)
        cut = self.cuts.pop(0) if self.cuts else None
        async for piece in request.content.iter_any():
            kept = piece if cut is None else piece[:cut]
            body += kept
            self.taken += len(kept)
            if cut is not None and (cut := cut - len(kept)) <= 0:
                return self._cut(request, upload)
        return web.Response(status=202, headers=self._location(request, upload))

    def _cut(self, request: web.Request, upload: str) -> web.Response:
        if self.forgets:
            del self.uploads[upload]
        assert request.transport is not None
        request.transport.abort()
        raise asyncio.CancelledError

    def _end(self, request: web.Request, upload: str) -> web.Response:
        body, digest = bytes(self.uploads.pop(upload)), request.query["digest"]
        if digest != digest_of(body):
            return web.Response(status=400, text='{"errors": [{"code": "DIGEST_INVALID"}]}')
        self.blobs[request.match_info["repository"], digest] = body
        if self.cuts_after_end:
            self.cuts_after_end -= 1
            assert request.transport is not None
            request.transport.abort()
            raise asyncio.CancelledError
        return web.Response(status=201, headers={"Docker-Content-Digest": self.claims or digest})

    async def _manifest(self, request: web.Request) -> web.Response:
        repository, reference = request.match_info["repository"], request.match_info["reference"]
        if request.method == "PUT":
            self.manifests[repository, reference] = await request.read()
            return web.Response(status=201)
        body = self.manifests.get((repository, reference))
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, headers={"Docker-Content-Digest": digest_of(body)})
