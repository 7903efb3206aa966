"""List, then watch, then again: the current state of some objects, as it changes, for as long as it is asked for.

Reconnecting always waits, and longer each time; 410 Gone, as a status or as an ERROR line, means to list again.
Source: client-go ``tools/cache/reflector.go``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from driver.clusters.cluster_api import (
    AGAIN,
    FIRST_PAUSE_SECONDS,
    GONE,
    LAST_PAUSE_SECONDS,
    ClusterApi,
    Sleep,
    api_errors,
)
from driver.errors import ApiError
from pullstudy.kube.objects import Page, Status, WatchLine

FAILURES = 15  # in a row: with the pauses about 2 minutes


class _Metadata(Protocol):
    @property
    def uid(self) -> str: ...

    @property
    def resource_version(self) -> str: ...


class _Named(Protocol):
    @property
    def metadata(self) -> _Metadata: ...


T = TypeVar("T", bound=_Named)

_line = msgspec.json.Decoder(WatchLine).decode
_status = msgspec.json.Decoder(Status).decode


class Seen(msgspec.Struct, Generic[T], frozen=True):
    """One object as it is now, or was when it was deleted."""

    object: T
    deleted: bool = False


class ObjectWatch(Generic[T]):
    """The objects of one path and selector. A connection silent for ``silence_seconds`` is replaced by another."""

    def __init__(
        self,
        api: ClusterApi,
        path: str,
        selector: tuple[str, str],
        kind: type[T],
        *,
        silence_seconds: float,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self._object = msgspec.json.Decoder(kind).decode
        self._page: Callable[[bytes], Page[T]] = msgspec.json.Decoder(Page[kind]).decode  # type: ignore[valid-type]
        self._silence_seconds = silence_seconds
        self._sleep = sleep
        self._version = ""
        self._moved = False
        self._there: dict[str, T] = {}  # by uid

    async def changes(self) -> AsyncIterator[Seen[T]]:
        """The objects that are there, then every change, without end. Raises ApiError when it has failed for good."""
        failures = 0
        while True:
            self._moved = False
            try:
                async for seen in self._list_once():
                    yield seen
                async for seen in self._watch_once():
                    yield seen
            except ApiError as error:
                if error.status == GONE:
                    self._version = ""
                elif error.status not in AGAIN or failures >= FAILURES:
                    raise
            failures = 0 if self._moved else failures + 1
            if failures > 1:
                self._version = ""  # an empty watch is a server's habit for stale versions (kubernetes #104171)
            if failures:
                await self._sleep(min(FIRST_PAUSE_SECONDS * 2**failures, LAST_PAUSE_SECONDS))

    async def _list_once(self) -> AsyncIterator[Seen[T]]:
        if not self._version:
            page = await self._api.list_objects(self._path, self._selector, self._page)
            self._version = page.metadata.resource_version
            listed = {item.metadata.uid for item in page.objects}
            # What was deleted while nobody watched is told by no event.
            for uid in self._there.keys() - listed:
                yield Seen(self._there.pop(uid), deleted=True)
            for item in page.objects:
                yield self._seen(item)

    async def _watch_once(self) -> AsyncIterator[Seen[T]]:
        query = [self._selector, ("resourceVersion", self._version), ("allowWatchBookmarks", "true")]
        async with self._api.watch(self._path, query, silence_seconds=self._silence_seconds) as chunks:
            async for line in lines(chunks):
                with api_errors(f"watch {self._path}"):
                    kind, found = self._read(line)
                self._version = found.metadata.resource_version or self._version
                self._moved = True
                if kind != "BOOKMARK":
                    yield self._seen(found, deleted=kind == "DELETED")

    def _seen(self, found: T, *, deleted: bool = False) -> Seen[T]:
        if deleted:
            self._there.pop(found.metadata.uid, None)
        else:
            self._there[found.metadata.uid] = found
        return Seen(found, deleted)

    def _read(self, line: bytes) -> tuple[str, T]:
        change = _line(line)
        if change.type == "ERROR":
            status = _status(change.object)
            raise ApiError(f"watch {self._path}", status.code, status.message)
        return change.type, self._object(change.object)


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of a stream whose chunks are cut anywhere; what follows the last newline is left out."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
