"""The objects of one kind as they are now: each state given to a callback, until the API server has been away too long.

What was deleted while nobody watched is told after the list that follows. Nothing is kept on disk.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from pullstudy.kube.errors import ApiError, KubeconfigError, StatusError, TransportError
from pullstudy.kube.object_line import ObjectLine, decode_object_line
from pullstudy.kube.page import RawPage
from pullstudy.kube.status import UNREADABLE
from pullstudy.kube.watch_loop import Failure
from pullstudy.kube.watch_protocol import Policy, Relisted, Versioned, judge

# 408, 429 and 5xx are worth another try; 0 stands for a connection that was not made or broke.
TRANSIENT = frozenset((0, 408, 429, 500, 502, 503, 504))


class Identified(Versioned, Protocol):
    """Metadata that tells one object from another."""

    @property
    def uid(self) -> str: ...


class Named(Protocol):
    """An object of the API."""

    @property
    def metadata(self) -> Identified: ...


T = TypeVar("T", bound=Named)


class Change(msgspec.Struct, Generic[T], frozen=True):
    """One object as it is now, or was when it was deleted."""

    object: T
    deleted: bool = False


class ObjectHandler(Generic[T]):
    """A WatchHandler for a caller that wants objects, and an error where they cannot be had."""

    def __init__(
        self,
        kind: type[T],
        path: str,
        take: Callable[[Change[T]], None],
        patience_seconds: float,
        *,
        deletions: bool = True,
    ) -> None:
        """``take`` gets what is there, then every change. For ``patience_seconds`` the API server may be away.

        Without ``deletions`` none is given, and no object is kept for it.
        """
        self._deletions = deletions
        self._decode = msgspec.json.Decoder(kind).decode
        self._what = f"watch {path}"
        self._take = take
        self._patience_seconds = patience_seconds
        self._there: dict[str, T] = {}  # by uid
        self._listed: list[T] = []  # by the list that is under way

    def decode(self, raw: bytes) -> ObjectLine[T]:
        return decode_object_line(raw, self._decode)

    def unreadable(self, raw: bytes, error: Exception) -> None:
        # The object that it speaks of would never be told of again: it is asked for anew, like an answer that was cut.
        raise TransportError(self._what, f"its answer cannot be read: {error}") from error

    def changed(self, line: ObjectLine[T], raw: bytes) -> None:
        if line.found is not None:
            self._put(line.found)

    def deleted(self, line: ObjectLine[T]) -> None:
        if self._deletions and line.found is not None:
            self._there.pop(line.found.metadata.uid, None)
            self._take(Change(line.found, deleted=True))

    async def page(self, page: RawPage, *, first: bool) -> None:
        if first:
            self._listed = []
        try:
            self._listed += [self._decode(item) for item in page.items or ()]
        except UNREADABLE as error:
            self.unreadable(b"", error)

    async def listed(self, relisted: Relisted) -> None:
        for uid in self._there.keys() - {each.metadata.uid for each in self._listed}:
            self._take(Change(self._there.pop(uid), deleted=True))
        for each in self._listed:
            self._put(each)
        self._listed = []

    def _put(self, found: T) -> None:
        if self._deletions:
            self._there[found.metadata.uid] = found
        self._take(Change(found))

    async def read(self, lines: int) -> None: ...

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def ended(self) -> None: ...

    async def failed(self, failure: Failure) -> None:
        """Raises ApiError: at once where waiting mends nothing, else when patience has ended."""
        if failure.failing_seconds >= self._patience_seconds or not _may_pass(failure):
            raise _named(self._what, failure.error)

    def login_failed(self, error: KubeconfigError) -> None: ...  # the API server's next 401 ends it


def _may_pass(failure: Failure) -> bool:
    error = failure.error
    if not isinstance(error, StatusError):
        return True
    again = failure.paged or judge(error.answer, failure.request) is not Policy.RETRY
    return again or error.status in TRANSIENT or failure.unauthorized == 1


def _named(what: str, error: ApiError) -> ApiError:
    return StatusError(what, error.answer) if isinstance(error, StatusError) else TransportError(what, error.why)
