"""One bucket over HTTP, written to, and asked what a writer has to know: one request, one answer.

What the answer means is judged elsewhere.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from pullstudy.store.influx.answers import one_line
from pullstudy.store.influx.settings import InfluxSettings, TokenFileError

_GZIP = 16 + zlib.MAX_WBITS  # zlib's sign for a gzip header
ANSWER_BYTES = 64 * 1024  # of an answer's text: an error page may be of any length
# Nothing is unpacked that nobody asked for: 64 KiB may hold 64 MiB. No cookie is kept, and no odd one complained of.
SESSION: dict[str, Any] = {"auto_decompress": False, "headers": {"Accept-Encoding": "identity"}, "trust_env": True}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswerError(Exception):
    """The request did not come through, or nothing came back in time: it may or may not have been carried out."""


class InfluxConnection:
    """A pool of connections; the first is opened by the first request."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def write(self, lines: bytes) -> Answer:
        """Post line protocol. Raises NoAnswerError."""
        settings = self._settings
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if settings.gzip:
            headers["Content-Encoding"] = "gzip"
            lines = zlib.compress(lines, 1, _GZIP)
        query = {"org": settings.organisation, "bucket": settings.bucket, "precision": "ns"}
        return await self._post("write", query, lines, headers)

    async def ask(self, flux: str) -> Answer:
        """A small question, so that a writer needs no client for it. Raises NoAnswerError."""
        question = {"query": flux, "type": "flux", "dialect": {"header": True, "annotations": []}}
        headers = {"Content-Type": "application/json", "Accept": "application/csv"}
        return await self._post("query", {"org": self._settings.organisation}, msgspec.json.encode(question), headers)

    async def _post(self, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> Answer:
        settings = self._settings
        try:
            headers["Authorization"] = f"Token {settings.current_token()}"
            # A redirect would carry the token to another server.
            async with self._open().post(
                f"{settings.url}/api/v2/{path}", params=query, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await read_answer(response)
        except (TokenFileError, *NO_ANSWER) as error:
            raise NoAnswerError(why_no_answer(error, settings.request_seconds)) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            limits = aiohttp.ClientTimeout(total=settings.request_seconds, sock_connect=settings.connect_seconds)
            connector = aiohttp.TCPConnector(ssl=settings.tls() or True)
            self._session = aiohttp.ClientSession(
                timeout=limits, connector=connector, cookie_jar=aiohttp.DummyCookieJar(), **SESSION
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


# A ValueError is aiohttp's own for what it cannot read or send, such as a name that no resolver takes.
NO_ANSWER = (TimeoutError, aiohttp.ClientError, OSError, ValueError)


async def read_answer(response: aiohttp.ClientResponse) -> Answer:
    """With the beginning of its text; the rest is left, and the connection with it."""
    body = b""
    while len(body) < ANSWER_BYTES and (piece := await response.content.read(ANSWER_BYTES - len(body))):
        body += piece
    return Answer(response.status, response.headers, body)


def why_no_answer(error: Exception, seconds: float) -> str:
    """In one line; ``seconds`` is how long an answer was waited for."""
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        # Its own text names the TLS setting, of plain HTTP too, and asyncio's call.
        return f"Cannot connect to host {error.host}:{error.port}: connection refused"
    return one_line(str(error)) or type(error).__name__
