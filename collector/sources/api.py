"""The edge to a cluster: its events and pods as bytes, through kubernetes_asyncio's client, so that authentication,
TLS and kubeconfig are the library's. Client errors are mapped here and nowhere else."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import aiohttp

from collector.settings import WatchSettings
from collector.sources.kubeconfig import Access
from collector.sources.scope import Scope
from collector.sources.watch_protocol import Refusal, read_refusal

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

JSON = "application/json"


class RefusedError(Exception):
    """The API server answered, and the answer is an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class CutError(Exception):
    """No answer, or only part of one: no connection, a cut, or silence past the deadline."""


class ObjectApi(Protocol):
    """The objects of one path. Each verb raises RefusedError or CutError."""

    url: str
    server_time: datetime | None
    """By the Date header of the last answer, to the second; None before the first."""

    async def log_in_again(self) -> None:
        """Renew the credentials. Raises KubeconfigError."""
        ...

    async def list_page(self, *, limit: int | None, continue_token: str | None) -> bytes: ...

    async def prove(self, version: str) -> None:
        """Return where the server's state is not older than the version."""
        ...

    def watch(self, version: str, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        """The watch's bytes as they come, in pieces of any length; an empty piece first, when the watch is open."""
        ...


class EventApi(ObjectApi, Protocol):
    """A cluster's events."""

    def stream_list(self, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        """As watch(), but what there is comes first, and then a bookmark that says so."""
        ...

    async def cluster_uid(self) -> str:
        """The uid of the namespace that tells the cluster; empty where it may not be read."""
        ...


class PodApi(ObjectApi, Protocol):
    """A cluster's pods, and its events of one reason."""

    async def events_page(self, reason: str, *, limit: int, continue_token: str | None) -> bytes: ...


class KubernetesObjects:
    """ObjectApi over kubernetes_asyncio. Use it as an async context manager."""

    def __init__(
        self,
        client: "ApiClient",
        access: Access,
        settings: WatchSettings,
        path: str,
        selector: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """``client`` as ``access`` made it; ``selector`` goes with every list and watch."""
        self.url = client.configuration.host or ""
        self.server_time: datetime | None = None
        self._client = client
        self._access = access
        self._settings = settings
        self._path = path
        self._selector = selector

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def log_in_again(self) -> None:
        # A new client: the certificate that it shows is read only when it is made.
        client = await self._access.make_client()
        before, self._client = self._client, client
        await before.close()

    async def list_page(self, *, limit: int | None, continue_token: str | None) -> bytes:
        return await self._list(self._path, self._selector, limit, continue_token)

    async def _list(
        self, path: str, selector: tuple[tuple[str, str], ...], limit: int | None, continue_token: str | None
    ) -> bytes:
        paged = [("limit", str(limit))] if limit is not None else []
        token = [("continue", continue_token)] if continue_token else []
        return await self._get(path, [*selector, *paged, *token])

    async def prove(self, version: str) -> None:
        query = [("limit", "1"), ("resourceVersion", version), ("resourceVersionMatch", "NotOlderThan")]
        await self._get(self._path, query)

    def watch(self, version: str, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        return self._watch([("resourceVersion", version)], timeout_seconds)

    def stream_list(self, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        query = [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        return self._watch(query, timeout_seconds)

    async def _watch(self, start: list[tuple[str, str]], timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        query = [
            *self._selector,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            *start,
            ("timeoutSeconds", str(max(1, round(timeout_seconds)))),
        ]
        deadline = timeout_seconds + self._settings.deadline_margin_seconds
        async with self._request(self._path, query, deadline) as answer:
            if answer.status != 200:
                raise await _refused(answer)
            _keep_alive(answer)
            yield b""
            async for chunk in answer.content.iter_chunked(self._settings.chunk_bytes):
                yield chunk

    async def call(self, method: str, path: str, body: object = None) -> bytes:
        """Any other request. Raises RefusedError, CutError."""
        async with self._request(path, [], self._settings.request_seconds, method, body) as answer:
            if answer.status not in (200, 201):
                raise await _refused(answer)
            return await answer.read()

    async def _get(self, path: str, query: list[tuple[str, str]]) -> bytes:
        async with self._request(path, query, self._settings.request_seconds) as answer:
            if answer.status != 200:
                raise await _refused(answer)
            return await answer.read()

    @asynccontextmanager
    async def _request(
        self,
        path: str,
        query: list[tuple[str, str]],
        deadline_seconds: float,
        method: str = "GET",
        body: object = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=deadline_seconds, sock_connect=self._settings.connect_seconds)
        answer: Any = None
        try:
            answer = await self._client.call_api(
                path,
                method,
                query_params=query,
                header_params={"Accept": JSON},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
            self.server_time = _date(answer) or self.server_time
            yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CutError(_in_words(error)) from error
        finally:
            if answer is not None:
                answer.close()  # a watch's connection is never used again; a list's body was read to its end


class KubernetesEvents(KubernetesObjects):
    """EventApi over kubernetes_asyncio."""

    def __init__(
        self, client: "ApiClient", access: Access, settings: WatchSettings, scope: Scope | None = None
    ) -> None:
        self._scope = scope or Scope()
        super().__init__(client, access, settings, self._scope.events_path)

    async def cluster_uid(self) -> str:
        try:
            body = await self._get(self._scope.identity_path, [])
        except RefusedError as error:
            if error.refusal.code in (403, 404):
                return ""
            raise
        try:
            return str(json.loads(body)["metadata"]["uid"])
        except (ValueError, KeyError, TypeError) as error:
            raise CutError(f"the answer for {self._scope.identity} cannot be read ({error})") from error


class KubernetesPods(KubernetesObjects):
    """PodApi over kubernetes_asyncio: the pods that have a node, since none without has pulled anything."""

    def __init__(
        self, client: "ApiClient", access: Access, settings: WatchSettings, scope: Scope | None = None
    ) -> None:
        self._scope = scope or Scope()
        super().__init__(client, access, settings, self._scope.pods_path, (("fieldSelector", "spec.nodeName!="),))

    async def events_page(self, reason: str, *, limit: int, continue_token: str | None) -> bytes:
        return await self._list(
            self._scope.events_path, (("fieldSelector", f"reason={reason}"),), limit, continue_token
        )


async def _refused(answer: aiohttp.ClientResponse) -> RefusedError:
    return RefusedError(read_refusal(answer.status, await answer.read(), answer.headers.get("Retry-After")))


def _date(answer: aiohttp.ClientResponse) -> datetime | None:
    try:
        at = parsedate_to_datetime(answer.headers["Date"])
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (KeyError, ValueError):  # a proxy's answer may have none
        return None


def _keep_alive(answer: aiohttp.ClientResponse) -> None:
    # A host that vanished sends no FIN. The kernel notices in about a minute, long before the watch's own deadline.
    connection = answer.connection
    found = connection.transport.get_extra_info("socket") if connection and connection.transport else None
    if found is None:  # all of a short answer may be here already
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # not on every system
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _in_words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return f"its certificate is not trusted: {getattr(cause, 'verify_message', '') or cause}"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno).lower()
    if isinstance(error, aiohttp.ClientPayloadError):  # its own text speaks of transfer encodings
        return "the connection was closed in the middle of the answer"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "no answer within the deadline"
    return str(error) or type(error).__name__
