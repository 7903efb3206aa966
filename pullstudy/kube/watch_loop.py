"""The loop around the protocol: sends what it says, waits as it says, and gives what comes to a handler.

It goes on for ever: what ends it is what its handler raises.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Generic, NoReturn, Protocol, TypeVar

from pullstudy.kube.clock import Clock
from pullstudy.kube.errors import ApiError, KubeconfigError, StatusError, TooLargeError, TransportError
from pullstudy.kube.lines import MOST_COMMAS, LineSplitter, LineTooLongError
from pullstudy.kube.list_watch import ListerWatcher
from pullstudy.kube.page import RawPage
from pullstudy.kube.settings import WatchSettings
from pullstudy.kube.status import UNREADABLE, is_error_line, read_error_line
from pullstudy.kube.watch_protocol import (
    Identify,
    ListPage,
    Policy,
    Prove,
    Relisted,
    Request,
    Step,
    StreamList,
    Take,
    Versioned,
    Watch,
    WatchProtocol,
    judge,
)
from pullstudy.pulls.bug import BUGS, Bugs

UNAUTHORIZED = 401
BUG_APART_SECONDS = 600.0  # bugs nearer to each other are waited out ever longer


class HasMetadata(Protocol):
    """An object, a bookmark, or a Status in the place of one."""

    @property
    def metadata(self) -> Versioned | None: ...


class TypedLine(Protocol):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    @property
    def type(self) -> str: ...

    @property
    def object(self) -> HasMetadata: ...


L = TypeVar("L", bound=TypedLine)


@dataclass(frozen=True)
class Failure:
    """A request that failed, or a watch that was ended by an ERROR line or a cut."""

    request: Request
    error: ApiError
    in_stream: bool  # it came on a watch that was open
    paged: bool  # the server has no lists inside watches: nothing is lost, and pages are asked for
    failures: int  # in a row, with this one; a watch that brought nothing counts as one
    failing_seconds: float  # since the first of them
    unauthorized: int  # answers 401 in a row, with this one: the login is renewed after each
    wait_seconds: float  # before the next try


class WatchHandler(Protocol[L]):
    """What is done with what the loop brings. What a method raises ends the loop, but for TransportError: that ends the
    watch, as a cut does."""

    def decode(self, raw: bytes) -> L:
        """A line of a watch. Raises what ``status.UNREADABLE`` has."""
        ...

    def unreadable(self, raw: bytes, error: Exception) -> None:
        """A line that cannot be read; the next one follows."""
        ...

    def changed(self, line: L, raw: bytes) -> None:
        """ADDED or MODIFIED, and the line that brought it."""
        ...

    def deleted(self, line: L) -> None: ...

    async def page(self, page: RawPage, *, first: bool) -> None:
        """A page of a list. The protocol's version is still the one before the list."""
        ...

    async def listed(self, relisted: Relisted) -> None:
        """The list is complete, in pages or inside a watch."""
        ...

    async def read(self, lines: int) -> None:
        """All of one read was given, so many lines that could be read: the protocol's version is the last one's."""
        ...

    def opened(self) -> None:
        """A watch is open, and what it lists at its beginning is read."""
        ...

    def closed(self) -> None:
        """A watch has ended, well or badly, whether it was open or not."""
        ...

    def ended(self) -> None:
        """A watch was closed in good order."""
        ...

    async def failed(self, failure: Failure) -> None:
        """The next try follows, after a wait. Raise to give up."""
        ...

    def login_failed(self, error: KubeconfigError) -> None:
        """After an answer 401 the credentials could not be read again; they are tried as they were."""
        ...


class ClusterIdentity(Protocol):
    """How a cluster is told from another. Without one, each is taken for the one before."""

    async def uid(self) -> str:
        """Empty where it may not be read. Raises StatusError, TransportError."""
        ...

    def identified(self, uid: str, before: str | None) -> None:
        """``before`` is the former uid, where it was another."""
        ...


class WatchLoop(Generic[L]):
    """Lists and watches for ever."""

    def __init__(
        self,
        objects: ListerWatcher,
        protocol: WatchProtocol,
        handler: WatchHandler[L],
        settings: WatchSettings,
        clock: Clock,
        random: Random,
        identity: ClusterIdentity | None = None,
        bugs: Bugs | None = None,
    ) -> None:
        """``bugs`` is told what nobody thought of, and the loop lists again, later; without, that ends the loop."""
        self._objects = objects
        self._protocol = protocol
        self._handler = handler
        self._settings = settings
        self._clock = clock
        self._random = random
        self._identity = identity
        self._lines = 0  # of all watches, those that could be read
        self._open = False  # of the present watch, its handler was told
        self._unauthorized = 0
        self._failing_since = 0.0
        self._bugs = bugs
        self._bugs_met = 0  # in a row: each within BUG_APART_SECONDS of the one before
        self._bug_at = 0.0
        self._drawn_seconds: float | None = None  # the wait before the next step, where it is known

    async def run(self) -> NoReturn:
        """Raises what the handler raises."""
        while True:
            step = self._protocol.next_step()
            try:
                await self._go(step)
            except BUGS as error:
                if self._bugs is None:
                    raise
                await self._doubt(step.request, error, self._bugs)

    async def _go(self, step: Step) -> None:
        await self._wait(step)
        if self._unauthorized:
            await self._renew_login()
        try:
            await self._send(step.request)
        except StatusError as error:
            await self._refused(error, step.request, in_stream=False)
        except TooLargeError as error:
            if not self._protocol.page_too_large(step.request):
                await self._broken(error, step.request, quick=True)
        except TransportError as error:
            await self._broken(error, step.request, quick=True)

    async def _doubt(self, request: Request, error: Exception, bugs: Bugs) -> None:
        now = self._clock.monotonic_seconds()
        self._bugs_met = self._bugs_met + 1 if now - self._bug_at < BUG_APART_SECONDS else 1
        bugs.found(f"{type(request).__name__} of {type(self._handler).__name__}", error)
        self._protocol.doubted(f"a bug was met: {type(error).__name__}")
        await self._clock.sleep(self._settings.backoff.seconds(self._bugs_met, self._random))
        self._bug_at = self._clock.monotonic_seconds()

    async def _wait(self, step: Step) -> None:
        seconds = self._seconds_before(step)
        self._drawn_seconds = None
        if step.wait:
            await self._clock.sleep(seconds)

    def _seconds_before(self, step: Step) -> float:
        """Drawn once: what a failure tells of the wait after it has to be so."""
        if self._drawn_seconds is None:
            self._drawn_seconds = wait_seconds(step, self._settings, self._random)
        return self._drawn_seconds

    async def _renew_login(self) -> None:
        try:
            await self._objects.renew_login()
        except KubeconfigError as error:
            self._handler.login_failed(error)

    async def _send(self, request: Request) -> None:
        match request:
            case Identify():
                await self._identify()
            case ListPage():
                await self._list(request)
            case Prove():
                await self._objects.prove(request.version)
                self._answered()
                self._protocol.proven()
            case StreamList():
                await self._watch(self._objects.stream_list(self._draw_timeout()))
            case Watch():
                await self._watch(self._objects.watch(request.version, self._draw_timeout()))

    def _answered(self) -> None:
        self._unauthorized = 0

    async def _identify(self) -> None:
        if self._identity is None:
            self._protocol.without_identity()
            return
        uid = await self._identity.uid()
        self._answered()
        self._identity.identified(uid, self._protocol.identified(uid))

    async def _list(self, request: ListPage) -> None:
        page = await self._objects.list_page(limit=request.limit, continue_token=request.continue_token)
        self._answered()
        await self._handler.page(page, first=request.continue_token is None)
        relisted = self._protocol.page(page.metadata, len(page.items or ()))
        if relisted is not None:
            await self._handler.listed(relisted)

    # -- watch -----------------------------------------------------------------------------------------------------

    def _draw_timeout(self) -> float:
        return self._random.uniform(self._settings.timeout_min_seconds, self._settings.timeout_max_seconds)

    async def _watch(self, stream: AsyncGenerator[bytes, None]) -> None:
        started, lines_before = self._clock.monotonic_seconds(), self._lines

        def quick() -> bool:
            lasted = self._clock.monotonic_seconds() - started
            return self._lines == lines_before and lasted < self._settings.quick_seconds

        try:
            async with aclosing(stream) as chunks:
                take = await self._read(chunks)
        except TransportError as error:
            await self._broken(error, self._protocol.open_request, quick=quick())
        else:
            if take is not Take.END:
                self._handler.ended()
                self._protocol.ended(quick=quick())
        finally:
            self._open = False
            self._handler.closed()

    async def _read(self, chunks: AsyncIterator[bytes]) -> Take:
        splitter = LineSplitter()
        try:
            async with asyncio.timeout(self._list_silence_seconds()) as silence:
                async for chunk in chunks:
                    silence.reschedule(None)  # what the handler takes its time for is no silence of the server's
                    if await self._take(_split(splitter, chunk)) is Take.END:
                        return Take.END
                    if 0 < len(chunk) < self._settings.small_bytes:
                        await self._clock.sleep(self._settings.pause_seconds)
                    if (patience := self._list_silence_seconds()) is not None:
                        silence.reschedule(asyncio.get_running_loop().time() + patience)
        except TimeoutError:
            return await self._no_list_inside()
        # A stream cut mid-line leaves what cannot be read, and is watched again from the version before it.
        rest = splitter.rest()
        return await self._take([rest]) if rest and self._is_whole(rest) else Take.NOTHING

    async def _no_list_inside(self) -> Take:
        request = self._protocol.open_request
        self._protocol.silent()
        await self._say(request, TransportError("list inside a watch", "silence instead of the list's end"), paged=True)
        return Take.END

    def _is_whole(self, rest: bytes) -> bool:
        try:
            self._handler.decode(rest)
        except UNREADABLE:
            return False
        return True

    def _list_silence_seconds(self) -> float | None:
        return self._settings.list_silence_seconds if self._protocol.listing else None

    def _say_opened(self) -> None:
        if not (self._open or self._protocol.listing):
            self._open = True
            self._answered()
            self._handler.opened()

    async def _take(self, lines: list[bytes]) -> Take:
        protocol, handler, take, before = self._protocol, self._handler, Take.NOTHING, self._lines
        self._say_opened()
        for raw in lines:
            if len(raw) > MOST_COMMAS and raw.count(b",") > MOST_COMMAS:
                handler.unreadable(raw, ValueError(f"it holds more than {MOST_COMMAS:,} values"))
                continue
            try:
                line = handler.decode(raw)
            except UNREADABLE as error:
                if is_error_line(raw):
                    take = await self._ended_by(raw)
                    break
                handler.unreadable(raw, error)
                continue
            self._lines += 1
            if line.type == "ERROR":
                take = await self._ended_by(raw)
                break
            take = protocol.line(line.type, line.object.metadata)
            if take is Take.CHANGED:
                handler.changed(line, raw)
            elif take is Take.DELETED:
                handler.deleted(line)
            elif take is Take.LISTED:
                await handler.listed(protocol.take_relisted())
                self._say_opened()
        await handler.read(self._lines - before)
        return take

    async def _ended_by(self, error_line: bytes) -> Take:
        error = StatusError("watch", read_error_line(error_line))
        await self._refused(error, self._protocol.open_request, in_stream=True)
        return Take.END

    # -- what goes wrong -------------------------------------------------------------------------------------------

    async def _refused(self, error: StatusError, request: Request, *, in_stream: bool) -> None:
        self._unauthorized = self._unauthorized + 1 if error.status == UNAUTHORIZED else 0
        self._protocol.refused(error.answer, request, may_be_of_size=error.may_be_of_size)
        await self._say(request, error, paged=judge(error.answer, request) is Policy.PAGE, in_stream=in_stream)

    async def _broken(self, error: TransportError, request: Request, *, quick: bool) -> None:
        self._protocol.broken(request, quick=quick, may_be_of_size=error.may_be_of_size)
        await self._say(request, error, paged=False)

    async def _say(self, request: Request, error: ApiError, *, paged: bool, in_stream: bool = False) -> None:
        now, failures = self._clock.monotonic_seconds(), self._protocol.failures
        if failures <= 1:
            self._failing_since = now
        failing = now - self._failing_since
        self._drawn_seconds = None
        wait = self._seconds_before(self._protocol.next_step())
        failure = Failure(request, error, in_stream, paged, failures, failing, self._unauthorized, wait)
        await self._handler.failed(failure)


def wait_seconds(step: Step, settings: WatchSettings, random: Random) -> float:
    """Before a step: none, what the server asked for, or by its failures."""
    if not step.wait:
        return 0.0
    if step.retry_after_seconds:  # "at once", from a proxy, would be a busy loop
        return min(step.retry_after_seconds, settings.most_retry_after_seconds)
    return settings.backoff.seconds(step.failures, random) if step.failures else settings.reconnect_seconds


def _split(splitter: LineSplitter, chunk: bytes) -> list[bytes]:
    try:
        return splitter.feed(chunk)
    except LineTooLongError as error:
        raise TransportError("watch", "a line without end") from error
