"""A proxy between the driver and moto that has things go wrong, by the names of AWS' operations."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

Sent = tuple[str, str, dict[str, str]]  # service, operation and its plain parameters
Forward = Callable[[], Awaitable[web.Response]]
Fault = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]

_EKS = (
    ("POST", r"/clusters", "CreateCluster"),
    ("GET", r"/clusters", "ListClusters"),
    ("GET", r"/clusters/[^/]+", "DescribeCluster"),
    ("DELETE", r"/clusters/[^/]+", "DeleteCluster"),
    ("POST", r"/clusters/[^/]+/node-groups", "CreateNodegroup"),
    ("GET", r"/clusters/[^/]+/node-groups", "ListNodegroups"),
    ("GET", r"/clusters/[^/]+/node-groups/[^/]+", "DescribeNodegroup"),
    ("DELETE", r"/clusters/[^/]+/node-groups/[^/]+", "DeleteNodegroup"),
)
EKS_NAMES = tuple(name for _, _, name in _EKS)


def operation_of(method: str, path: str, body: bytes) -> str:
    """AWS' name of what is asked for."""
    action = parse_qs(body.decode(errors="replace")).get("Action")
    if action:
        return action[0]
    return next(
        (name for verb, shape, name in _EKS if verb == method and re.fullmatch(shape, path)), f"{method} {path}"
    )


def parameters_of(operation: str, path: str, body: bytes) -> dict[str, str]:
    """Those that are plain text; ``name`` is the cluster of a path of EKS."""
    if operation in EKS_NAMES:
        parts = path.split("/")
        return {"name": parts[2]} if len(parts) > 2 else {}
    return {key: values[0] for key, values in parse_qs(body.decode(errors="replace")).items()}


def service_of(authorization: str) -> str:
    """What the request was signed for. Source: AWS' Signature Version 4."""
    found = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", authorization)
    return found[1] if found else ""


class AwsProxy:
    """``asked`` are the operations in their order, ``sent`` they with their parameters, ``bodies`` what EKS was sent.

    A fault is asked once for each of its times, then spent.
    """

    def __init__(self, upstream: str) -> None:
        self.asked: list[str] = []
        self.calls: set[tuple[str, str]] = set()  # service and operation
        self.bodies: dict[str, list[Any]] = {}
        self.sent: list[Sent] = []
        self.url = ""
        self._upstream = upstream
        self._faults: dict[str, list[Fault]] = {}
        self._session: aiohttp.ClientSession | None = None

    def put(self, operation: str, fault: Fault, times: int = 1, after: int = 0) -> None:
        """``after`` so many calls that go well."""

        async def well(request: web.Request, forward: Forward) -> web.StreamResponse:
            return await forward()

        self._faults.setdefault(operation, []).extend([well] * after)
        self._faults.setdefault(operation, []).extend([fault] * times)

    def refuse(self, operation: str, code: str, status: int = 400, message: str = "injected", times: int = 1) -> None:
        """Answer with an error, and do nothing."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            return error_answer(operation, code, message, status)

        self.put(operation, answer, times)

    def refuse_after(self, operation: str, after: int, code: str, status: int, message: str = "not authorized") -> None:
        """Answer with an error once so many calls went well."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            return error_answer(operation, code, message, status)

        self.put(operation, answer, after=after)

    def lose(self, operation: str, times: int = 1) -> None:
        """Do what is asked, and cut the connection before the answer."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            await forward()
            return await _cut(request)

        self.put(operation, answer, times)

    def cut(self, operation: str, times: int = 1) -> None:
        """Cut the connection, and do nothing."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            return await _cut(request)

        self.put(operation, answer, times)

    def rewrite(self, operation: str, change: Callable[[Any], None], times: int = 1) -> None:
        """Change EKS' JSON answer."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            said = await forward()
            if said.status >= 400:
                return said
            assert isinstance(said.body, bytes)
            document = json.loads(said.body)
            change(document)
            return web.json_response(document, status=said.status)

        self.put(operation, answer, times)

    def reword(self, operation: str, old: str, new: str, times: int = 1) -> None:
        """Change words of an answer in XML."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            said = await forward()
            assert isinstance(said.body, bytes)
            body = said.body.replace(old.encode(), new.encode())
            return web.Response(body=body, status=said.status, content_type="text/xml")

        self.put(operation, answer, times)

    def pretend(self, operation: str, document: Any, times: int = 1) -> None:
        """Answer so, and do nothing."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            return web.json_response(document)

        self.put(operation, answer, times)

    def then(self, operation: str, act: Callable[[], None], *, before: bool = False, after: int = 0) -> None:
        """Do what is asked, and something more, before the answer goes out."""

        async def answer(request: web.Request, forward: Forward) -> web.StreamResponse:
            if before:
                act()
                return await forward()
            said = await forward()
            act()
            return said

        self.put(operation, answer, after=after)

    def forget(self) -> None:
        """No more faults."""
        self._faults.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        operation = operation_of(request.method, request.path, body)
        self.asked.append(operation)
        service = service_of(request.headers.get("Authorization", ""))
        self.calls.add((service, operation))
        self.sent.append((service, operation, parameters_of(operation, request.path, body)))
        if operation in EKS_NAMES and body:
            self.bodies.setdefault(operation, []).append(json.loads(body))

        async def forward() -> web.Response:
            assert self._session is not None
            headers = {key: value for key, value in request.headers.items() if key not in ("Host", "Content-Length")}
            url = f"{self._upstream}{request.path_qs}"
            async with self._session.request(request.method, url, data=body, headers=headers) as said:
                kept = {
                    key: value
                    for key, value in said.headers.items()
                    if key == "Content-Type" or key.lower().startswith("x-amz")
                }
                return web.Response(body=await said.read(), status=said.status, headers=kept)

        faults = self._faults.get(operation)
        return await (faults.pop(0)(request, forward) if faults else forward())

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator["AwsProxy"]:
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self.handle)
        async with aiohttp.ClientSession() as self._session, TestServer(application, port=port) as server:
            self.url = str(server.make_url("")).rstrip("/")
            yield self


def error_answer(operation: str, code: str, message: str, status: int) -> web.Response:
    """As EKS says it in JSON, or the others in XML."""
    if operation in EKS_NAMES:
        return web.json_response({"message": message}, status=status, headers={"x-amzn-ErrorType": code})
    inner = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    ec2 = operation.startswith(("Describe", "Delete")) and "Stack" not in operation
    text = f"<Response><Errors>{inner}</Errors></Response>" if ec2 else f"<ErrorResponse>{inner}</ErrorResponse>"
    return web.Response(text=text, status=status, content_type="text/xml")


async def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()
