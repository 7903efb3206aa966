"""The loop around the protocol: sends what it says, waits as it says, and hands on what comes.

Nothing counts as read before the spool has it: the version is handed to the spool together with the records.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from collector.context import Context
from collector.errors import ClusterError, KubeconfigError
from collector.sources.api import CutError, EventApi, RefusedError
from collector.sources.backoff import step_seconds
from collector.sources.checkpoint import EVENTS, Checkpoint
from collector.sources.intake import Intake, Page, PageError, is_whole_line, read_page
from collector.sources.lines import LineSplitter, LineTooLongError
from collector.sources.scope import Scope
from collector.sources.watch_protocol import (
    Identify,
    ListPage,
    Policy,
    Prove,
    Refusal,
    Relisted,
    Request,
    Step,
    StreamList,
    Take,
    Watch,
    WatchProtocol,
    judge,
)
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.pulls.batch import Gap
from pullstudy.pulls.event import Event

PAGE_EVENTS = 1_000  # spooled at a time: a whole list in one answer can be as large as the cluster


@dataclass(frozen=True)
class WatchTarget:
    """What the cluster is called, the command with which a user can look at it, and what of it is watched."""

    cluster: str
    look_with: str = "kubectl get --raw /version"
    scope: Scope = field(default_factory=Scope)


class EventWatch:
    """Reads a cluster's events for ever, into the spool."""

    def __init__(
        self,
        target: WatchTarget,
        api: EventApi,
        protocol: WatchProtocol,
        intake: Intake,
        queue: SpoolQueue,
        context: Context,
    ) -> None:
        self._target = target
        self._api = api
        self._protocol = protocol
        self._intake = intake
        self._queue = queue
        self._settings = context.settings
        self._clock = context.clock
        self._random = context.random
        self._log = context.log
        self._status = context.status
        self.opened = asyncio.Event()  # the events that there were are listed, and a watch has begun
        self._login_expired = False
        self._spooled: Checkpoint | None = None  # the checkpoint that the spool has

    async def run(self) -> None:
        """Never returns. Raises ClusterError where the cluster cannot be read at the start, and SpoolError."""
        while True:
            step = self._protocol.next_step()
            await self._wait(step)
            if self._login_expired:
                await self._log_in_again()
            try:
                await self._send(step.request)
            except RefusedError as error:
                self._refused(error.refusal, step.request)
            except CutError as error:
                self._broken(str(error), step.request, quick=True)

    async def _log_in_again(self) -> None:
        try:
            await self._api.log_in_again()
        except KubeconfigError as error:
            self._log.warning(f"the login cannot be renewed: {error}")
        self._login_expired = False  # until the API server says so again

    async def _wait(self, step: Step) -> None:
        if step.wait:
            await self._clock.sleep(step_seconds(step, self._settings.backoff, self._random))

    async def _send(self, request: Request) -> None:
        match request:
            case Identify():
                await self._identify()
            case ListPage():
                await self._list(request)
            case Prove():
                await self._api.prove(request.version)
                self._protocol.proven()
            case StreamList():
                await self._watch(self._api.stream_list)
            case Watch():
                await self._watch(partial(self._api.watch, request.version))

    async def _identify(self) -> None:
        uid = await self._api.cluster_uid()
        if not uid:
            self._log.warning(
                f"{self._target.scope.identity} may not be read, so that a checkpoint of another cluster would not be "
                f"noticed: allow 'get' on namespace {self._target.scope.identity}"
            )
        before = self._protocol.identified(uid)
        if before is not None:
            self._log.warning(
                f"cluster {self._target.cluster} is ANOTHER one than before: the checkpoint is not of it, and all its "
                "events are listed anew",
                before=before,
                now=uid,
            )

    # -- list ------------------------------------------------------------------------------------------------------

    async def _list(self, request: ListPage) -> None:
        if request.continue_token is None:
            self._status.lists += 1
        body = await self._api.list_page(limit=request.limit, continue_token=request.continue_token)
        try:
            page = read_page(body)
        except PageError as error:
            raise CutError(str(error)) from error
        # Only the end of the list brings a version: until then the checkpoint stays where it was.
        await self._spool_items(page, self._checkpoint())
        relisted = self._protocol.page(page.metadata)
        if relisted is not None:
            await self._relisted(relisted)

    async def _spool_items(self, page: Page, checkpoint: Checkpoint) -> None:
        items = page.items or []
        for start in range(0, len(items), PAGE_EVENTS):
            for item in items[start : start + PAGE_EVENTS]:
                self._intake.item(item, page.metadata.resource_version)
            if batch := self._intake.take_batch():
                await self._queue.append(EVENTS, checkpoint.encode(), batch)

    async def _relisted(self, relisted: Relisted) -> None:
        if relisted.gap_from is not None:
            gap = Gap(
                cluster=self._target.cluster,
                from_version=relisted.gap_from,
                to_version=relisted.version,
                found_at=self._clock.now(),
                why=relisted.why,
            )
            self._intake.gap(gap)
            self._log.warning(
                "a stretch of the events was not watched: what was deleted or updated twice in it is unknown",
                from_version=gap.from_version,
                to_version=gap.to_version,
                why=gap.why,
            )
        self._spooled = self._checkpoint()
        await self._queue.append(EVENTS, self._spooled.encode(), self._intake.take_batch())

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._protocol.version, self._protocol.cluster_uid, self._target.scope.namespace or "")

    # -- watch -----------------------------------------------------------------------------------------------------

    async def _watch(self, start: Callable[[float], AsyncGenerator[bytes, None]]) -> None:
        timing = self._settings.watch
        timeout_seconds = self._random.uniform(timing.timeout_min_seconds, timing.timeout_max_seconds)
        started, lines_before = self._clock.monotonic_seconds(), self._status.lines

        def quick() -> bool:
            lasted = self._clock.monotonic_seconds() - started
            return self._status.lines == lines_before and lasted < timing.quick_seconds

        try:
            async with aclosing(start(timeout_seconds)) as chunks:
                take = await self._read(chunks)
        except CutError as error:
            self._broken(str(error), self._protocol.open_request, quick=quick())
        else:
            if take is not Take.END:
                self._status.reconnects += 1
                self._protocol.ended(quick=quick())
        finally:
            self._say_closed()

    async def _read(self, chunks: AsyncIterator[bytes]) -> Take:
        splitter = LineSplitter()
        try:
            async with asyncio.timeout(self._list_silence_seconds()) as silence:
                async for chunk in chunks:
                    silence.reschedule(None)  # what the store takes its time for is no silence of the server's
                    if await self._take(_split(splitter, chunk)) is Take.END:
                        return Take.END
                    if 0 < len(chunk) < self._settings.watch.small_bytes:
                        await self._clock.sleep(self._settings.watch.pause_seconds)
                    if (patience := self._list_silence_seconds()) is not None:
                        silence.reschedule(asyncio.get_running_loop().time() + patience)
        except TimeoutError:
            self._protocol.silent()
            self._say_paged("silence instead of the list's end")
            return Take.END
        # A stream cut mid-line leaves what cannot be read, and is watched again from the version before it.
        rest = splitter.rest()
        return await self._take([rest]) if is_whole_line(rest) else Take.NOTHING

    def _say_closed(self) -> None:
        if self._status.watching:
            self._status.watching, self._status.watch_ended = False, self._clock.monotonic_seconds()

    def _list_silence_seconds(self) -> float | None:
        return self._settings.watch.list_silence_seconds if self._protocol.listing else None

    def _say_opened(self) -> None:
        if self._protocol.listing:
            return
        self._status.watching = True
        if self.opened.is_set():
            return
        self.opened.set()
        self._log.info(
            f"watching events of {self._target.cluster} at {self._api.url}",
            **({"namespace": self._target.scope.namespace} if self._target.scope.namespace else {}),
            version=self._protocol.version,
            listed=self._status.events,
        )

    async def _take(self, lines: list[bytes]) -> Take:
        protocol, intake = self._protocol, self._intake
        take = Take.NOTHING
        self._say_opened()
        if lines:
            self._status.last_line_at = self._clock.now()
        for raw in lines:
            line = intake.read_line(raw, protocol.version)
            if line is None:
                continue
            self._status.lines += 1
            listing = protocol.listing
            take = protocol.line(line)
            if take is Take.EVENT:
                intake.event(line.object, raw)
            elif take is Take.LISTED:
                self._status.lists += 1  # not before: a server without lists inside watches is asked for pages
                await self._relisted(protocol.take_relisted())
                self._say_opened()
            elif take is Take.END:
                self._say_error(line.object, paged=listing and not protocol.listing)
                break
            else:
                self._status.deleted += line.type == "DELETED"
        checkpoint, batch = self._checkpoint(), intake.take_batch()
        if batch or checkpoint != self._spooled:
            await self._queue.append(EVENTS, checkpoint.encode(), batch)
            self._spooled = checkpoint
        return take

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _say_error(self, status: Event, *, paged: bool) -> None:
        if paged:
            self._say_paged(f"{status.code} {status.text}")
            return
        self._status.reconnects += 1
        self._log.warning(f"the watch was ended by the API server: {status.code} {status.text}")

    def _say_paged(self, why: str) -> None:
        self._log.info(f"the API server has no lists inside watches ({why}): they come in pages")

    def _refused(self, refusal: Refusal, request: Request) -> None:
        if judge(refusal, request) is Policy.PAGE:
            self._protocol.refused(refusal, request)
            return  # nothing worth a line: half of all servers answer so
        if not self.opened.is_set() and refusal.code in _HOPELESS:
            hint = _HOPELESS[refusal.code].format(scope=self._target.scope)
            raise ClusterError(f"{self._place()} answered {refusal}; {hint}")
        self._status.reconnects += 1
        self._log.warning(f"{_name(request)} was refused: {refusal}")
        self._login_expired = refusal.code == 401
        self._protocol.refused(refusal, request)
        self._give_up_at_the_start(str(refusal))

    def _broken(self, why: str, request: Request, *, quick: bool) -> None:
        self._status.reconnects += 1
        self._log.warning(f"{_name(request)} was cut: {why}")
        self._protocol.broken(request, quick=quick)
        self._give_up_at_the_start(why)

    def _give_up_at_the_start(self, why: str) -> None:
        tries = self._settings.stop.connect_tries
        if not self.opened.is_set() and self._protocol.failures >= tries:
            raise ClusterError(
                f"{self._place()} cannot be reached: {why} ({tries} tries); look with: {self._target.look_with}"
            )

    def _place(self) -> str:
        return f"cluster {self._target.cluster} at {self._api.url}"


def _split(splitter: LineSplitter, chunk: bytes) -> list[bytes]:
    try:
        return splitter.feed(chunk)
    except LineTooLongError as error:
        raise CutError("a line without end") from error


# What an API server answers that waiting does not mend. Once a watch has run, these too are only waited out: a token
# may be renewed, a permission given back.
_HOPELESS = {
    400: "is this a Kubernetes API server?",
    401: "the kubeconfig's user is not accepted: log in again, or give another --kubeconfig",
    403: "the user may not read events: allow 'list' and 'watch' on events in {scope}",
    404: "is this a Kubernetes API server?",
    405: "is this a Kubernetes API server?",
}


def _name(request: Request) -> str:
    match request:
        case Identify():
            return "the question for the cluster's identity"
        case ListPage():
            return "the list of events"
        case StreamList():
            return "the watch that begins with a list of events"
        case Prove():
            return f"the question for version {request.version}"
        case Watch():
            return f"the watch at version {request.version}"
