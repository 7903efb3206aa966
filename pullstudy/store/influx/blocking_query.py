"""A query as a plain blocking call, as all reading of stores is: the asynchronous client in a loop of its own."""

import asyncio
import io
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import aiohttp

from pullstudy.store.influx.flux import Row, lines_of, read_rows
from pullstudy.store.influx.query_client import QueryClient
from pullstudy.store.influx.settings import InfluxSettings

T = TypeVar("T")
_PIECE_BYTES = 256 << 10


def ask(settings: InfluxSettings, flux: str) -> Iterator[Row]:
    """The rows as they come: no more of the answer than a piece is in memory. Raises StoreError, MissingExtraError."""
    client = QueryClient(settings)
    with _Loop() as loop:
        try:
            response = loop.run(client.open(flux))
            try:
                body = io.BufferedReader(_Body(loop, client, response), _PIECE_BYTES)
                yield from read_rows(lines_of(io.TextIOWrapper(body, "utf-8", newline="")))
            finally:
                response.close()
        finally:
            loop.run(client.close())


class _Loop:
    """Runs coroutines of one loop, one after the other, from plain code.

    A thread whose own loop is running, as a notebook's is, cannot run another one: then a thread beside it does.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> "_Loop":
        if _loop_runs_here():
            self._thread = ThreadPoolExecutor(1, "influxdb-query")
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            self._runner.close()
            return
        with self._thread as thread:
            thread.submit(self._runner.close).result()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._thread is None:
            return self._runner.run(work)
        return self._thread.submit(self._runner.run, work).result()


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Body(io.RawIOBase):
    """A response's body as a stream that blocks."""

    def __init__(self, loop: _Loop, client: QueryClient, response: aiohttp.ClientResponse) -> None:
        self._loop = loop
        self._client = client
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._loop.run(self._client.read(self._response, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)
