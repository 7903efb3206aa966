"""One bucket over HTTP, written and asked: one request, one answer. What the answer means is judged elsewhere."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from pullstudy.store.influx.settings import InfluxSettings

_GZIP = 16 + zlib.MAX_WBITS  # zlib's sign for a gzip header
_ANSWER_BYTES = 64 * 1024  # of an answer's text: an error page may be of any length


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
        return await self._post("/api/v2/write", query, headers, lines, most_bytes=_ANSWER_BYTES)

    async def query(self, flux: str) -> Answer:
        """Ask in Flux; the body is CSV without annotations, as long as it is. Raises NoAnswerError."""
        body = {"query": flux, "type": "flux", "dialect": {"header": True, "annotations": []}}
        headers = {"Content-Type": "application/json", "Accept": "application/csv"}
        return await self._post(
            "/api/v2/query", {"org": self._settings.organisation}, headers, msgspec.json.encode(body)
        )

    async def _post(
        self, path: str, query: Mapping[str, str], headers: dict[str, str], body: bytes, most_bytes: int = -1
    ) -> Answer:
        settings = self._settings
        try:
            headers["Authorization"] = f"Token {settings.current_token()}"
        except OSError as error:
            raise NoAnswerError(f"token file {settings.token_file}: {error.strerror or error}") from error
        try:
            # A redirect would carry the token to another server.
            async with self._open().post(
                f"{settings.url}{path}", params=query, data=body, headers=headers, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await response.content.read(most_bytes))
        except TimeoutError as error:
            raise NoAnswerError(f"no answer within {settings.request_seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(_told(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            limits = aiohttp.ClientTimeout(total=settings.request_seconds, sock_connect=settings.connect_seconds)
            connector = aiohttp.TCPConnector(ssl=settings.tls() or True)
            self._session = aiohttp.ClientSession(timeout=limits, connector=connector, trust_env=True)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _told(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        # Its own text names the TLS setting, of plain HTTP too, and asyncio's call.
        return f"Cannot connect to host {error.host}:{error.port}: connection refused"
    return str(error) or type(error).__name__
