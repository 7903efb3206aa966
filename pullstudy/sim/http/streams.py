"""Watches as HTTP streams: each sends what its cursor finds, waits, and may be cut, silenced or spoilt."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from aiohttp import web

from pullstudy.sim.api.status import ApiFailureError
from pullstudy.sim.api.watching import WatchCursor
from pullstudy.sim.faults.http import HttpFaults
from pullstudy.sim.faults.kinds import GarbageLine, TruncateLine

LAG_LIMIT = 1024  # revisions that the slowest watch may be behind before virtual time waits for it
BOOKMARK_SECONDS = 60.0  # virtual; the watch cache's bookmark timer
STALL_SECONDS = 30.0  # real: a reader that holds time up for so long is cut off
CHUNK_BYTES = 256 * 1024


class StreamCutError(Exception):
    """This connection ends without an end."""


class Stream:
    """One open watch. What an order from outside asks of it, it does at its next step."""

    def __init__(self, watch: WatchCursor, resource: str, bookmarks: bool) -> None:
        self.watch = watch
        self.resource = resource
        self.bookmarks = bookmarks
        self.abandon: Callable[[], None] = self.cut  # also while a send is stuck
        self.silent = False  # half-open: sends nothing, and nobody waits for it
        self.sent = 0  # events
        self._wake = asyncio.Event()
        self._order: Exception | None = None
        self._closing = False
        self._bookmark_due = False

    def wake(self) -> None:
        self._wake.set()

    def cut(self) -> None:
        self._order = StreamCutError()
        self._wake.set()

    def fail(self, error: ApiFailureError) -> None:
        """Send the error as a line, and end."""
        self._order = error
        self._wake.set()

    def close(self) -> None:
        self._closing = True
        self._wake.set()

    def bookmark(self) -> None:
        self._bookmark_due = self.bookmarks
        self._wake.set()

    def next_lines(self) -> list[bytes] | None:
        """What is to be sent now, nothing if there is nothing, None to end. Raises StreamCutError, ApiFailureError."""
        if self._order is not None:
            raise self._order
        if self._closing:
            return None
        if self.silent:
            return []
        lines = self.watch.advance()
        if not lines and self._bookmark_due and not self.watch.behind:
            self._bookmark_due = False
            lines = [self.watch.bookmark()]
        return lines

    async def wait(self, seconds: float) -> None:
        """Until something was written or ordered, or the time is over."""
        if self.watch.behind and not self.silent:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)


class Streams:
    """All open watches."""

    def __init__(
        self,
        faults: HttpFaults,
        stall_seconds: float = STALL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._faults = faults
        self._stall_seconds = stall_seconds
        self._monotonic = monotonic
        self._open: set[Stream] = set()
        self._progress = asyncio.Event()
        self._waking = False

    def matching(self, pattern: str) -> list[Stream]:
        return [stream for stream in self._open if fnmatchcase(stream.resource, pattern)]

    def written(self) -> None:
        """Something was written: the watches look at it once whoever writes lets go of the event loop."""
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._wake_all)

    def _wake_all(self) -> None:
        self._waking = False
        for stream in self._open:
            stream.wake()

    def bookmark_all(self) -> None:
        for stream in self._open:
            stream.bookmark()

    @property
    def caught_up(self) -> bool:
        return not any(stream.watch.behind for stream in self._open if not stream.silent)

    async def keep_up(self) -> None:
        """Return when no watch is far behind: a slow reader slows time down, and never fills memory.

        One that takes nothing at all for a while is cut off, as the API server cuts off watchers that do not keep up.
        """
        while slow := [s for s in self._open if not s.silent and s.watch.behind > LAG_LIMIT]:
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), self._stall_seconds)
            except TimeoutError:
                for stream in slow:
                    stream.abandon()

    @contextlib.contextmanager
    def _registered(self, stream: Stream) -> Iterator[None]:
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)
            self._progress.set()

    async def serve(
        self, request: web.Request, response: web.StreamResponse, stream: Stream, first: Iterator[bytes], seconds: float
    ) -> None:
        """Send until the time is over or something ends it. ``seconds`` are real."""
        stream.abandon = lambda: abort(request)
        with self._registered(stream), contextlib.suppress(ConnectionResetError):  # the reader has gone
            try:
                await self._send_first(response, first)
                await self._follow(response, stream, self._monotonic() + seconds)
            except ApiFailureError as error:
                await response.write(error.watch_line())
            except StreamCutError:
                break_off(request)

    async def _follow(self, response: web.StreamResponse, stream: Stream, deadline: float) -> None:
        while (left := deadline - self._monotonic()) > 0:
            lines = stream.next_lines()
            if lines is None:
                return
            if lines:
                await self._send(response, stream, lines)
            self._progress.set()
            if not lines:
                await stream.wait(left)
        if stream.bookmarks and not stream.silent:
            await response.write(stream.watch.bookmark())

    async def _send_first(self, response: web.StreamResponse, lines: Iterator[bytes]) -> None:
        chunk: list[bytes] = []
        size = 0
        for line in lines:
            chunk.append(line)
            size += len(line)
            if size >= CHUNK_BYTES:
                await response.write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await response.write(b"".join(chunk))

    async def _send(self, response: web.StreamResponse, stream: Stream, lines: list[bytes]) -> None:
        every = self._faults.cut_every(stream.resource)
        if every is not None and stream.sent + len(lines) >= every:
            await response.write(b"".join(lines[: every - stream.sent]))
            self._faults.spend_cut(stream.resource)
            raise StreamCutError
        spoiled = self._faults.spoil(stream.resource)
        if isinstance(spoiled, TruncateLine):
            await response.write(lines[0][: len(lines[0]) // 2])
            raise StreamCutError
        if isinstance(spoiled, GarbageLine):
            lines = [spoiled.text.encode() + b"\n", *lines]
        await response.write(b"".join(lines))
        stream.sent += len(lines)


def break_off(request: web.Request) -> None:
    """End the connection without the closing chunk: what was sent still arrives, then the stream is broken."""
    if request.transport is not None:
        request.transport.close()


def abort(request: web.Request) -> None:
    """End the connection at once, whatever is still to be sent."""
    if request.transport is not None:
        request.transport.abort()
