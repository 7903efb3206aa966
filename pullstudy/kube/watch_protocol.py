"""The rules of list and watch, without I/O and without time: given what came, which request is next.

The loop around it (``watch_loop``) only sends, waits and reports back. Sources: kubernetes/client-go
``tools/cache/reflector.go``, the API conventions on resource versions, and FAULTS seen on real servers:

- A version too old is told in four ways: status 410, an in-stream ERROR of code 410, a watch answered 200 and
  closed empty at once (kubernetes #104171), and a page of a list whose continue token has expired.
- A version *ahead* of the server's is answered 200 and then silence, for ever. So before each watch the version is
  proven by a LIST at it, which answers 504 ResourceVersionTooLarge, and the cluster is identified after each loss.
- A list that takes longer than the server remembers is offered its rest at a newer version (the Status of that 410 has
  a token): objects made meanwhile may be missing from it. It is read to its end, and then all is listed again, which
  goes quicker where what is known already costs less. Else a slow list of a large cluster would begin anew for ever.
- Versions are opaque: they are kept and compared for equality, never computed with.
- A server that has it sends the list inside the watch (``sendInitialEvents``): what there is as ADDED in no order of
  version, then a bookmark that says so. One that has not answers 422, on some storage an in-stream ERROR of code 500;
  one that does not know the parameter sends ADDED lines and never that bookmark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pullstudy.kube.errors import Status, TransportError

NO_VERSION = ""  # nothing was read yet
INITIAL_END = "k8s.io/initial-events-end"  # the annotation of the bookmark that ends a list inside a watch
NO_STREAMING = (400, 405, 422, 500, 501)  # answers to a list inside a watch, after which it comes in pages
MOST_PAGES = 100_000  # of one list: a continue token after so many is one of a list without end
MOST_TORN_LISTS = 3  # of two versions, in a row: after so many what they may have missed is a gap
UNORDERED = ("", "0")  # watches from here begin with the present state as ADDED, in no order of version


@dataclass(frozen=True)
class Identify:
    """Ask for the cluster's identity."""


@dataclass(frozen=True)
class ListPage:
    """Ask for a page of the list; without a limit, for all of it at once."""

    limit: int | None
    continue_token: str | None


@dataclass(frozen=True)
class StreamList:
    """Ask for a watch that begins with a list."""


@dataclass(frozen=True)
class Prove:
    """Ask for a list not older than the version: it fails where the server has never been there."""

    version: str


@dataclass(frozen=True)
class Watch:
    """Watch from the version on."""

    version: str


Request = Identify | ListPage | StreamList | Prove | Watch


@dataclass(frozen=True)
class Step:
    """The next request, and how to wait before it: as asked for, else by so many failures in a row."""

    request: Request
    failures: int
    retry_after_seconds: float | None
    wait: bool


class Versioned(Protocol):
    """The metadata of an object or a bookmark, as far as the rules go."""

    @property
    def resource_version(self) -> str: ...

    @property
    def annotations(self) -> Mapping[str, str] | None: ...


class ListVersion(Protocol):
    """The metadata of a page of a list."""

    @property
    def resource_version(self) -> str: ...

    @property
    def continue_token(self) -> str | None: ...


class Take(Enum):
    """What to do with a line of a watch."""

    CHANGED = "changed"  # an object that is or was there
    DELETED = "deleted"  # an object as it was last
    NOTHING = "nothing"  # a bookmark
    LISTED = "listed"  # the list inside the watch is complete: ask take_relisted()
    END = "end"  # the stream is over; ask next_step()


_LINES = {"ADDED": Take.CHANGED, "MODIFIED": Take.CHANGED, "DELETED": Take.DELETED, "BOOKMARK": Take.NOTHING}


@dataclass(frozen=True)
class Relisted:
    """A list is complete. ``gap_from`` is set where the stream was not watched between it and the list."""

    version: str
    gap_from: str | None
    why: str


class Policy(Enum):
    """What follows from a refusal."""

    RETRY = "retry"  # the same request, later
    RELIST = "relist"  # the version is worth nothing here
    PAGE = "page"  # the server has no lists inside watches
    LIST_WHOLE = "list whole"  # the rest of a list has gone: all of it in one answer
    CONTINUE = "continue"  # the rest of a list has gone: that of a newer version in its place


def judge(refusal: Status, request: Request) -> Policy:
    """The policy for a refused request. 429 and all that a server says in distress are no reason to list again."""
    if isinstance(request, StreamList):
        return Policy.PAGE if refusal.code in NO_STREAMING else Policy.RETRY
    if isinstance(request, ListPage):
        stale = refusal.code == 410 or refusal.version_too_large
        if stale and request.continue_token:
            return Policy.CONTINUE if refusal.continue_token else Policy.LIST_WHOLE
        return Policy.RETRY
    if refusal.code == 410 or refusal.version_too_large:
        return Policy.RELIST
    return Policy.RETRY


class WatchProtocol:
    """Where the conversation with one API server stands. ``version`` is the last one read."""

    def __init__(
        self,
        version: str = NO_VERSION,
        cluster_uid: str = "",
        *,
        page_items: int = 500,
        quick_ends_before_list: int = 3,
        lost: str | None = None,
        streaming: bool = False,
    ) -> None:
        """``version`` and ``cluster_uid`` from the checkpoint; ``lost`` says why there is none where one was.

        ``streaming``: lists are asked for inside watches, until the server turns out not to have them.
        """
        self.streaming = streaming
        self.version = version
        self.cluster_uid = cluster_uid
        self._most_items = self._page_items = page_items
        self._quick_ends_before_list = quick_ends_before_list
        self._identified = False
        self._proven = False
        self._why_list: str | None = None if version else (lost or "first list")
        self._gap_from: str | None = NO_VERSION if lost and not version else None
        self._whole = False
        self._continue: str | None = None
        self._pages = 0  # of the list under way
        self._began_at = NO_VERSION  # the version of its first page
        self._torn = False  # whether later pages of it are of a newer version
        self._torn_lists = 0  # in a row
        self._empty_pages = 0  # of them, in a row
        self._relisted: Relisted | None = None
        self._failures = 0  # requests that failed, since one was answered
        self._barren = 0  # watches that brought nothing, since one that did or that lasted
        self._empty = 0  # of those, the ones that were closed in good order
        self._retry_after: float | None = None
        self._wait = False

    @property
    def failures(self) -> int:
        """In a row. An answered list does not end a row of watches that bring nothing: only a line or a long watch."""
        return self._failures + self._barren

    @property
    def listing(self) -> bool:
        """Whether the watch that is open, or comes next, begins with a list that is not complete."""
        return self.streaming and self._why_list is not None

    @property
    def open_request(self) -> Request:
        """What the watch that is open is at now."""
        return StreamList() if self.listing else Watch(self.version)

    def next_step(self) -> Step:
        return Step(self._request(), self.failures, self._retry_after, self._wait)

    def _request(self) -> Request:
        if not self._identified:
            return Identify()
        if self.listing:
            return StreamList()
        if self._why_list is not None:
            return ListPage(None if self._whole else self._page_items, self._continue)
        return Watch(self.version) if self._proven else Prove(self.version)

    def identified(self, cluster_uid: str) -> str | None:
        """The identity came; "" where it may not be read. Returns the former one where it has changed."""
        self._answered()
        self._identified = True
        before = self.cluster_uid
        if not cluster_uid or before == cluster_uid:
            return None
        self.cluster_uid = cluster_uid
        if not before:
            return None
        self._list_again(f"the cluster is not the one of the checkpoint (its uid was {before}, is {cluster_uid})")
        return before

    def without_identity(self) -> None:
        """Nothing tells this cluster from another, so that nothing was asked: failures go on counting."""
        self._identified = True
        self._retry_after, self._wait = None, False  # waited before this step

    def proven(self) -> None:
        """The server knows the version."""
        self._answered()
        self._proven = True

    def page(self, metadata: ListVersion, items: int | None = None) -> Relisted | None:
        """A page came, with this list metadata and so many items. Returns the end of the list where it was the last.

        Raises TransportError where the list has no end: it is begun again.
        """
        self._answered()
        before, self._continue = self._continue, metadata.continue_token or None
        if before is None:
            self._began_at = metadata.resource_version
        if self._continue is None:
            return self._end_of_torn(metadata) if self._torn else self._complete(metadata.resource_version)
        self._pages += 1
        if self._continue == before or self._pages >= MOST_PAGES:
            self._from_its_beginning()
            self._barren += 1
            raise TransportError("list", "its pages do not end")
        self._slow_down(items)
        return None

    def _end_of_torn(self, metadata: ListVersion) -> Relisted | None:
        self._torn_lists += 1
        if self._torn_lists < MOST_TORN_LISTS:
            self._from_its_beginning()
            return None
        if self._gap_from is None:
            self._gap_from = self._began_at
        self._why_list = f"{self._why_list}; the list took longer than the server remembers, {self._torn_lists} times"
        return self._complete(metadata.resource_version)

    def _from_its_beginning(self) -> None:
        self._continue, self._pages, self._torn = None, 0, False

    def _slow_down(self, items: int | None) -> None:
        # A server may give less than was asked for, and none at all; one that does so for ever must not be asked in a
        # busy loop.
        self._empty_pages = self._empty_pages + 1 if items == 0 else 0
        self._failures = self._empty_pages
        self._wait = items is not None and items < self._page_items
        if not self._wait:
            self._page_items = min(self._page_items * 2, self._most_items)

    def page_too_large(self, request: Request) -> bool:
        """An answer was longer than is read. Returns whether fewer items are asked for at once: not for one, nor where
        no list was asked for."""
        if not isinstance(request, ListPage) or not self._shrink():
            return False
        self._retry_after, self._wait = None, False
        return True

    def _shrink(self) -> bool:
        if self._whole:  # in pages again, from the beginning
            self._whole = False
            self._from_its_beginning()
            return True
        smaller = self._page_items > 1
        self._page_items = max(1, self._page_items // 4)
        return smaller

    def doubted(self, why: str) -> None:
        """What was read up to the version may not have been kept: all is listed again."""
        self._wait, self._retry_after = True, None
        self._identified = self._proven = False
        if self._why_list is None:
            self._list_again(why)
        self._from_its_beginning()

    def _complete(self, version: str) -> Relisted:
        why, gap_from = self._why_list or "", self._gap_from
        missed = gap_from is not None and gap_from != version
        self.version = version
        self._why_list, self._gap_from, self._whole, self._proven = None, None, False, True
        self._pages = self._empty_pages = self._torn_lists = 0
        self._torn = False
        return Relisted(self.version, gap_from if missed else None, why)

    def take_relisted(self) -> Relisted:
        """The end of the list, after Take.LISTED."""
        relisted, self._relisted = self._relisted, None
        assert relisted is not None
        return relisted

    def line(self, kind: str, metadata: Versioned | None) -> Take:
        """A line of the watch came, of this type: moves the version, and says what to do with the line."""
        if kind not in _LINES:
            return Take.NOTHING
        if self.listing:
            return self._initial_line(kind, metadata)
        # The initial state of a watch from "" or "0" is in no order: its versions would skip what is still to come.
        unordered = self.version in UNORDERED and kind == "ADDED"
        if metadata is not None and metadata.resource_version and not unordered:
            self.version = metadata.resource_version
        self._answered()
        self._barren = self._empty = 0
        return _LINES[kind]

    def _initial_line(self, kind: str, metadata: Versioned | None) -> Take:
        # The version stays where it was: a list that is cut off in the middle has told nothing of the rest.
        annotations = (metadata.annotations if metadata else None) or {}
        if kind == "BOOKMARK" and metadata is not None and annotations.get(INITIAL_END) == "true":
            self._answered()
            self._barren = self._empty = 0
            self._relisted = self._complete(metadata.resource_version)
            return Take.LISTED
        return _LINES[kind]

    def error(self, status: Status) -> None:
        """A line of type ERROR came: the watch is over."""
        self.refused(status, self.open_request)

    def silent(self) -> None:
        """Nothing more came, and not the bookmark either: the server does not know lists inside watches."""
        self.streaming, self._wait = False, False

    def refused(self, refusal: Status, request: Request, *, may_be_of_size: bool = False) -> None:
        """The request was answered with an error. ``may_be_of_size``: a list is asked for in smaller pages then."""
        policy = judge(refusal, request)
        self._retry_after = refusal.retry_after_seconds
        self._wait, self._proven = True, False
        if policy is Policy.RETRY:
            self._count_failure(request)
            self._ask_for_less(request, may_be_of_size)
        elif policy is Policy.PAGE:
            self.silent()
        elif policy is Policy.LIST_WHOLE:
            self._from_its_beginning()
            self._whole = True
        elif policy is Policy.CONTINUE:
            self._continue, self._torn = refusal.continue_token, True
            self._failures += 1  # where each page is answered so, it is asked for ever more slowly
        else:
            # The first relist comes at once; a server that says 410 to each fresh version is asked ever more slowly.
            self._wait = self._barren > 0
            self._barren += 1
            self._list_again(f"version {self.version} was answered {refusal}")

    def broken(self, request: Request, *, quick: bool, may_be_of_size: bool = False) -> None:
        """The connection failed, was cut, or was silent past its deadline. ``quick``: before it had lasted;
        ``may_be_of_size``: it stood, so that a list is asked for in smaller pages."""
        self._wait, self._retry_after = True, None
        self._identified = self._proven = False  # who comes back may be another cluster, or an older state of it
        if quick:
            self._count_failure(request)
        else:
            self._failures = self._barren = self._empty = 0
        self._ask_for_less(request, may_be_of_size)

    def _ask_for_less(self, request: Request, may_be_of_size: bool) -> None:
        if may_be_of_size and isinstance(request, ListPage):
            self._shrink()

    def _count_failure(self, request: Request) -> None:
        if isinstance(request, Watch):
            self._barren += 1
        else:
            self._failures += 1

    def ended(self, *, quick: bool) -> None:
        """A watch was closed in good order. ``quick``: at once, with no line."""
        self._wait, self._retry_after = True, None
        self._proven = False
        if self.listing:  # with lines, and never the bookmark
            self.streaming = False
            return
        if not quick:
            self._barren = self._empty = 0
            return
        self._barren += 1
        self._empty += 1
        if self._empty % self._quick_ends_before_list == 0:
            self._list_again(f"a watch at version {self.version} was closed empty {self._empty} times")

    def _list_again(self, why: str) -> None:
        if self._gap_from is None:
            self._gap_from = self.version
        self._why_list, self._whole, self._torn_lists = why, False, 0
        self._from_its_beginning()

    def _answered(self) -> None:
        self._failures, self._retry_after, self._wait = 0, None, False
