"""InfluxDB asked in Flux, through influxdb-client: one query, its rows.

Its ``query_raw`` keeps the whole answer in memory, its ``query_stream`` makes objects of each row and needs
annotations: here the same request of its QueryService is made, and the answer is read as it comes (docs/influxdb.md).
"""

import io
from datetime import UTC, datetime
from typing import Any

import aiohttp

from pullstudy.extras import require
from pullstudy.store.influx.answers import Action, is_table, judge_query
from pullstudy.store.influx.connection import NO_ANSWER, SESSION, Answer, read_answer, why_no_answer
from pullstudy.store.influx.flux import Row, lines_of, read_rows
from pullstudy.store.influx.settings import InfluxSettings, TokenFileError
from pullstudy.store.protocol import StoreError

MOST_BYTES = 256 << 20  # of an answer that is read as a whole: some 300,000 records


class QueryError(StoreError):
    """The server did not answer with a table; ``answer`` is None where it did not answer at all."""

    def __init__(self, url: str, reason: str, answer: Answer | None = None) -> None:
        super().__init__(f"InfluxDB {url}{' cannot be read' if answer is None else ''}: {reason}")
        self.reason = reason
        self.answer = answer


class QueryClient:
    """Asks one bucket's server. The connection is opened by the first question, and belongs to the running loop."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._client: Any = None

    async def rows(self, flux: str) -> list[Row]:
        """All at once. Raises QueryError, StoreError, MissingExtraError."""
        response = await self.open(flux)
        try:
            body = await self.read(response, MOST_BYTES + 1)
        finally:
            response.close()
        if len(body) > MOST_BYTES:
            raise StoreError(f"InfluxDB {self._settings.url}: an answer of over {MOST_BYTES} bytes is not read")
        return list(read_rows(lines_of(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""))))

    async def open(self, flux: str) -> aiohttp.ClientResponse:
        """The answer, which is CSV without annotations, before its body is read; the caller closes it.

        Raises QueryError, MissingExtraError.
        """
        try:
            response = await self._ask(flux)
            if response.status == 200 and is_table(response.headers) and not _is_packed(response):
                return response
            async with response:
                answer = await read_answer(response)
        except TokenFileError as error:
            raise QueryError(self._settings.url, str(error)) from error
        except NO_ANSWER as error:
            raise self._no_answer(error) from error
        verdict = judge_query(answer.status, answer.headers, answer.body, datetime.now(UTC))
        reason = "the answer is packed, which was not asked for" if verdict.action is Action.DONE else verdict.reason
        raise QueryError(self._settings.url, reason, answer)

    async def read(self, response: aiohttp.ClientResponse, most_bytes: int) -> bytearray:
        """The next so many bytes of the body, and fewer at its end. Raises QueryError."""
        body = bytearray()
        try:
            while len(body) < most_bytes and (piece := await response.content.read(most_bytes - len(body))):
                body += piece
        except NO_ANSWER as error:
            raise self._no_answer(error) from error
        return body

    async def _ask(self, flux: str) -> aiohttp.ClientResponse:
        library = require("influxdb_client", "influx")
        if self._client is None:
            self._client = self._make()
        # Read anew for each request, so that a renewed token is used at once; the library keeps what it was made with.
        self._client.api_client.set_default_header("Authorization", f"Token {self._settings.current_token()}")
        query = library.Query(query=flux, dialect=library.Dialect(header=True, annotations=[]), type="flux")
        service = library.QueryService(self._client.api_client)
        response: aiohttp.ClientResponse = await service.post_query_async(
            org=self._settings.organisation, query=query, _preload_content=False
        )
        return response

    def _make(self) -> Any:
        settings = self._settings
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_seconds, sock_read=settings.read_seconds
        )
        return require("influxdb_client.client.influxdb_client_async", "influx").InfluxDBClientAsync(
            settings.url,
            org=settings.organisation,
            timeout=limits,
            allow_redirects=False,  # the library follows them, with the token
            ssl_context=settings.tls() or True,
            client_session_kwargs={**SESSION, "cookie_jar": aiohttp.DummyCookieJar()},
        )

    def _no_answer(self, error: Exception) -> QueryError:
        return QueryError(self._settings.url, why_no_answer(error, self._settings.read_seconds))

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None


def _is_packed(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"
