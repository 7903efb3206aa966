"""The objects of one path and selector, as client-go's ListWatch has them: listed in pages, watched as bytes."""

from collections.abc import AsyncGenerator
from typing import Protocol

from pullstudy.kube.client import KubeClient, Query
from pullstudy.kube.page import RawPage, read_page

_BOOKMARKS = [("watch", "true"), ("allowWatchBookmarks", "true")]


class ListerWatcher(Protocol):
    """Where a watch loop gets its objects from. Each verb raises StatusError or TransportError."""

    async def renew_login(self) -> None:
        """Raises KubeconfigError."""
        ...

    async def list_page(self, *, limit: int | None, continue_token: str | None) -> RawPage: ...

    async def prove(self, version: str) -> None:
        """Return where the server's state is not older than the version."""
        ...

    def watch(self, version: str, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        """The watch's bytes as they come, in pieces of any length; an empty piece first, when the watch is open."""
        ...

    def stream_list(self, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        """As watch(), but what there is comes first, and then a bookmark that says so."""
        ...


class ListWatch:
    """ListerWatcher over a client."""

    def __init__(self, client: KubeClient, path: str, selector: Query = ()) -> None:
        """``selector`` goes with every list and watch."""
        self._client = client
        self._path = path
        self._selector = selector
        self._resource = path.rpartition("/")[2]

    async def renew_login(self) -> None:
        await self._client.renew_login()

    async def list_page(self, *, limit: int | None, continue_token: str | None) -> RawPage:
        paged = [("limit", str(limit))] if limit is not None else []
        token = [("continue", continue_token)] if continue_token else []
        what = f"list {self._resource}"
        return read_page(await self._client.get(what, self._path, [*self._selector, *paged, *token]), what)

    async def prove(self, version: str) -> None:
        query = [("limit", "1"), ("resourceVersion", version), ("resourceVersionMatch", "NotOlderThan")]
        await self._client.get(f"list {self._resource}", self._path, [*self._selector, *query])

    def watch(self, version: str, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        return self._watch([("resourceVersion", version)], timeout_seconds)

    def stream_list(self, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        return self._watch([("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")], timeout_seconds)

    def _watch(self, start: Query, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        query = [*self._selector, *_BOOKMARKS, *start]
        return self._client.stream(f"watch {self._resource}", self._path, query, timeout_seconds)
