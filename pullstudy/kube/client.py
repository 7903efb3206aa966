"""The one client of a Kubernetes API server: requests in, bytes out, through kubernetes_asyncio's client, so that
authentication, TLS and kubeconfig are the library's. Its errors, and aiohttp's, are mapped here and nowhere else."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import aiohttp

from pullstudy.kube.access import Access, without_passwords
from pullstudy.kube.errors import ApiError, IncompleteError, KubeconfigError, StatusError, TooLargeError, TransportError
from pullstudy.kube.lines import MOST_COMMAS
from pullstudy.kube.settings import WatchSettings
from pullstudy.kube.status import read_status
from pullstudy.pulls.printable import printable
from pullstudy.pulls.retry_after import http_date

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

Query = Sequence[tuple[str, str]]

_PIECE_BYTES = 1 << 16
_SHOWN_CHARACTERS = 200
_MANY_BYTES = 1 << 20
_ACCEPT = {"Accept": "application/json"}
_MERGE = {"Content-Type": "application/merge-patch+json"}


class KubeClient:
    """Each verb raises StatusError or TransportError. Use it as an async context manager.

    ``what`` is, for the error, what is asked: a verb and its object.
    """

    def __init__(self, client: "ApiClient", access: Access, settings: WatchSettings) -> None:
        """``client`` as ``access`` made it."""
        self.url = client.configuration.host or ""
        self.server_time: datetime | None = None
        """By the Date header of the last answer that had one, to the second; None before the first."""
        self._client = client
        self._access = access
        self._settings = settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def renew_login(self) -> None:
        """Read the credentials again. Raises KubeconfigError."""
        # A new client: the certificate that it shows is read only when it is made.
        client = await self._access.make_client()
        before, self._client = self._client, client
        await before.close()

    async def request(self, what: str, method: str, path: str, query: Query = (), body: object = None) -> bytes:
        """The whole answer."""
        async with self._request(what, method, path, query, self._settings.request_seconds, body) as answer:
            content = await self._read(what, answer)
            if not 200 <= answer.status < 300:
                raise self._refused(what, answer, content)
            return content

    async def get(self, what: str, path: str, query: Query = ()) -> bytes:
        return await self.request(what, "GET", path, query)

    async def stream(self, what: str, path: str, query: Query, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        """A watch's bytes as they come, in pieces of any length; an empty piece first, when the watch is open."""
        timed = [*query, ("timeoutSeconds", str(max(1, round(timeout_seconds))))]
        deadline = timeout_seconds + self._settings.deadline_margin_seconds
        async with self._request(what, "GET", path, timed, deadline) as answer:
            if answer.status != 200:
                raise self._refused(what, answer, await self._read(what, answer))
            _keep_alive(answer)
            yield b""
            async for chunk in answer.content.iter_chunked(self._settings.chunk_bytes):
                with _nothing_read(answer):
                    yield chunk

    async def _read(self, what: str, answer: aiohttp.ClientResponse) -> bytes:
        # In pieces, also of what is unpacked: 2 MB of gzip can be 4 GiB.
        pieces, length, commas = [], 0, 0
        async for piece in answer.content.iter_chunked(_PIECE_BYTES):
            pieces.append(piece)
            length += len(piece)
            if length > self._settings.answer_bytes:
                raise TooLargeError(what, f"the answer is longer than {self._settings.answer_bytes} bytes")
            commas += piece.count(b",")
            if commas > MOST_COMMAS:
                raise TooLargeError(what, f"the answer holds more than {MOST_COMMAS:,} values")
        return b"".join(pieces)

    @asynccontextmanager
    async def _request(
        self, what: str, method: str, path: str, query: Query, deadline_seconds: float, body: object = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=deadline_seconds, sock_connect=self._settings.connect_seconds)
        answer: Any = None
        try:
            answer = await self._client.call_api(
                path,
                method,
                query_params=list(query),
                header_params=_ACCEPT | (_MERGE if method == "PATCH" else {}),
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
            self.server_time = http_date(answer.headers.get("Date")) or self.server_time
            yield answer
        except KubeconfigError as error:  # credentials that ran out: new ones may yet be laid out
            raise TransportError("renew the token", str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # ValueError: of heads and addresses
            failure = TransportError if _is_of_connecting(error) else IncompleteError
            raise failure(what, _in_words(error)) from error
        finally:
            if answer is not None:
                answer.close()  # a watch's connection is never used again; another answer was read to its end

    def _refused(self, what: str, answer: aiohttp.ClientResponse, content: bytes) -> ApiError:
        if 300 <= answer.status < 400:
            return TransportError(
                what, f"it redirects to {_origin(answer)}, which is not followed: the login is not for it"
            )
        now = http_date(answer.headers.get("Date"))
        return StatusError(what, read_status(answer.status, content, answer.headers.get("Retry-After"), now))


@asynccontextmanager
async def open_client(access: Access, settings: WatchSettings) -> AsyncIterator[KubeClient]:
    """Raises KubeconfigError."""
    async with KubeClient(await access.make_client(), access, settings) as client:
        yield client


@contextmanager
def _nothing_read(answer: aiohttp.ClientResponse) -> Iterator[None]:
    # While what came is worked on, or waited for more: the kernel gathers meanwhile. Else each event, which a server
    # sends by itself, wakes the process.
    connection = answer.connection
    protocol = connection.protocol if connection else None
    if protocol is None:  # all of it is here
        yield
        return
    transport = connection.transport if connection else None
    socket_ = transport.get_extra_info("socket") if transport else None
    protocol.pause_reading()
    _wake_at(socket_, _MANY_BYTES)
    try:
        yield
    finally:
        _wake_at(socket_, 1)
        protocol.resume_reading()


def _wake_at(socket_: Any, waiting_bytes: int) -> None:
    # TLS reads on while nothing is read of it. The kernel takes at most half of its buffer for this.
    with suppress(OSError):  # closed meanwhile
        if socket_ is not None:
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, waiting_bytes)


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


def _is_of_connecting(error: BaseException) -> bool:
    # The first is of a host that does not answer in time, the second of one that refuses, has no name or no trust.
    connecting = (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL)
    return isinstance(error, connecting) or not isinstance(error, (aiohttp.ClientError, TimeoutError))


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
    return without_passwords(str(error)) or type(error).__name__


def _origin(answer: aiohttp.ClientResponse) -> str:
    # Without the rest: what is asked there is nobody's concern, and may be a secret.
    try:
        to = urlsplit(answer.headers.get("Location", ""))
        return printable(f"{to.scheme}://{to.hostname}"[:_SHOWN_CHARACTERS]) if to.hostname else "another path"
    except ValueError:
        return "what is no address"
