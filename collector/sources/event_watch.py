"""A cluster's events, listed and watched for ever: the watch loop's handler that brings them into the spool.

Nothing counts as read before the spool has it: the version is handed to the spool together with the records.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from collector.context import Context
from collector.errors import ClusterError
from collector.monitoring.conditions import watches
from collector.monitoring.metrics import event_readings
from collector.monitoring.vitals import Reading
from collector.sources.checkpoint import EVENTS, Checkpoint
from collector.sources.intake import Intake
from collector.sources.scope import Scope
from collector.sources.source import SourceSpool
from pullstudy.kube.client import KubeClient
from pullstudy.kube.errors import KubeconfigError, StatusError, TransportError
from pullstudy.kube.list_watch import ListWatch
from pullstudy.kube.page import RawPage
from pullstudy.kube.watch_loop import Failure, WatchLoop
from pullstudy.kube.watch_protocol import (
    Identify,
    ListPage,
    Prove,
    Relisted,
    Request,
    StreamList,
    Watch,
    WatchProtocol,
)
from pullstudy.pulls.batch import Batch, Gap
from pullstudy.pulls.bug import BUGS
from pullstudy.pulls.event import UNREADABLE, WatchLine, decode_watch_line

PAGE_EVENTS = 1_000  # spooled at a time: a whole list in one answer can be as large as the cluster


class _Uid(msgspec.Struct, frozen=True):
    uid: str


class _Identity(msgspec.Struct, frozen=True):
    metadata: _Uid


_decode_identity = msgspec.json.Decoder(_Identity).decode


@dataclass(frozen=True)
class WatchedCluster:
    """What the cluster is called, the command with which a user can look at it, and what of it is watched."""

    name: str
    look_with: str = "kubectl get --raw /version"
    scope: Scope = field(default_factory=Scope)


class EventWatch:
    """Source: a cluster's events, read for ever."""

    name = EVENTS

    def __init__(
        self,
        cluster: WatchedCluster,
        client: KubeClient,
        protocol: WatchProtocol,
        intake: Intake,
        context: Context,
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._protocol = protocol
        self._intake = intake
        self._settings = context.settings
        self._clock = context.clock
        self._log = context.log
        self._status = context.status
        self._watches = watches(context.status, context.clock)
        self.is_open = asyncio.Event()  # the events that there were are listed, and a watch has begun
        self._spooled: Checkpoint | None = None  # the checkpoint that the spool has
        self._paged = False  # the list under way comes in pages
        self.decode = decode_watch_line
        self._spool: SourceSpool | None = None
        self._loop: WatchLoop[WatchLine] = WatchLoop(
            ListWatch(client, cluster.scope.events_path),
            protocol,
            self,
            context.settings.watch,
            context.clock,
            context.random,
            identity=self,
            bugs=context.bugs,
        )

    async def run(self, spool: SourceSpool) -> NoReturn:
        """Raises ClusterError where the cluster cannot be read at the start, and SpoolError."""
        self._spool = spool
        await self._loop.run()

    def why_not_ready(self) -> str | None:
        return self._watches()

    def readings(self) -> Iterable[Reading]:
        return event_readings(self._cluster.name, self._status)

    async def _append(self, checkpoint: Checkpoint, batch: Batch) -> None:
        assert self._spool is not None
        try:
            await self._spool.append(batch, checkpoint.encode())
        except BUGS:
            self._intake.forget()  # the loop lists again
            raise

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._protocol.version, self._protocol.cluster_uid, self._cluster.scope.namespace or "")

    # -- who it is -------------------------------------------------------------------------------------------------

    async def uid(self) -> str:
        """Of the namespace that tells the cluster; empty where it may not be read."""
        scope = self._cluster.scope
        try:
            body = await self._client.get(f"read namespace {scope.identity}", scope.identity_path)
        except StatusError as error:
            if error.status in (403, 404):
                return ""
            raise
        try:
            return _decode_identity(body).metadata.uid
        except UNREADABLE as error:
            what = f"read namespace {scope.identity}"
            raise TransportError(what, f"the answer for {scope.identity} cannot be read ({error})") from error

    def identified(self, uid: str, before: str | None) -> None:
        if not uid:
            identity = self._cluster.scope.identity
            self._log.warning(
                f"{identity} may not be read, so that a checkpoint of another cluster would not be noticed: allow "
                f"'get' on namespace {identity}"
            )
        if before is not None:
            self._log.warning(
                f"cluster {self._cluster.name} is ANOTHER one than before: the checkpoint is not of it, and all its "
                "events are listed anew",
                before=before,
                now=uid,
            )

    # -- list ------------------------------------------------------------------------------------------------------

    async def page(self, page: RawPage, *, first: bool) -> None:
        self._status.lists += first
        self._paged = True
        # Only the end of the list brings a version: until then the checkpoint stays where it was.
        checkpoint, items = self._checkpoint(), page.items or []
        for start in range(0, len(items), PAGE_EVENTS):
            for item in items[start : start + PAGE_EVENTS]:
                self._intake.item(item, page.metadata.resource_version)
            if batch := self._intake.take_batch():
                await self._append(checkpoint, batch)

    async def listed(self, relisted: Relisted) -> None:
        # Inside a watch it is not counted before its end: a server without such lists is asked for pages.
        self._status.lists += not self._paged
        self._paged = False
        if relisted.gap_from is not None:
            self._found_gap(relisted, relisted.gap_from)
        self._spooled = self._checkpoint()
        await self._append(self._spooled, self._intake.take_batch())

    def _found_gap(self, relisted: Relisted, gap_from: str) -> None:
        gap = Gap(
            cluster=self._cluster.name,
            from_version=gap_from,
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

    # -- watch -----------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        self._status.watching = True
        if self.is_open.is_set():
            return
        self.is_open.set()
        scope = self._cluster.scope
        self._log.info(
            f"watching events of {self._cluster.name} at {self._client.url}",
            **({"namespace": scope.namespace} if scope.namespace else {}),
            version=self._protocol.version,
            listed=self._status.events,
        )

    def closed(self) -> None:
        if self._status.watching:
            self._status.watching, self._status.watch_ended = False, self._clock.monotonic_seconds()

    def ended(self) -> None:
        self._status.reconnects += 1

    def unreadable(self, raw: bytes, error: Exception) -> None:
        self._status.last_line_at = self._clock.now()
        self._intake.unreadable(raw, self._protocol.version, error)

    def changed(self, line: WatchLine, raw: bytes) -> None:
        self._intake.event(line.object, raw)

    def deleted(self, line: WatchLine) -> None:
        self._status.deleted += 1

    async def read(self, lines: int) -> None:
        if lines:
            self._status.lines += lines
            self._status.last_line_at = self._clock.now()
        checkpoint, batch = self._checkpoint(), self._intake.take_batch()
        if batch or checkpoint != self._spooled:
            await self._append(checkpoint, batch)
            self._spooled = checkpoint

    # -- what goes wrong -------------------------------------------------------------------------------------------

    async def failed(self, failure: Failure) -> None:
        """Raises ClusterError where the cluster cannot be read at the start."""
        if failure.paged:
            # To be refused is worth no line: half of all servers answer so.
            if failure.in_stream or isinstance(failure.error, TransportError):
                self._log.info(
                    f"the API server has no lists inside watches ({failure.error.cause}): they come in pages"
                )
            return
        self._status.reconnects += 1
        if isinstance(failure.request, ListPage) and failure.request.continue_token is None:
            self._status.lists += 1
        if failure.in_stream:
            self._log.warning(f"the watch was ended by the API server: {failure.error.cause}")
            return
        if isinstance(failure.error, StatusError):
            self._raise_if_hopeless(failure.error)
            self._log.warning(f"{_name(failure.request)} was refused: {failure.error.cause}", **_next_try(failure))
        else:
            self._log.warning(f"{_name(failure.request)} was cut: {failure.error.cause}", **_next_try(failure))
        self._give_up_at_the_start(failure)

    def login_failed(self, error: KubeconfigError) -> None:
        self._log.warning(f"the login cannot be renewed: {error}")

    def _raise_if_hopeless(self, error: StatusError) -> None:
        if not self.is_open.is_set() and error.status in _HOPELESS:
            hint = _HOPELESS[error.status].format(scope=self._cluster.scope)
            raise ClusterError(f"{self._place()} answered {error.cause}; {hint}")

    def _give_up_at_the_start(self, failure: Failure) -> None:
        tries = self._settings.stop.connect_tries
        if not self.is_open.is_set() and failure.failures >= tries:
            raise ClusterError(
                f"{self._place()} cannot be reached: {failure.error.cause} ({tries} tries); "
                f"look with: {self._cluster.look_with}"
            )

    def _place(self) -> str:
        return f"cluster {self._cluster.name} at {self._client.url}"


# What an API server answers that waiting does not mend. Once a watch has run, these too are only waited out: a token
# may be renewed, a permission given back.
_HOPELESS = {
    400: "is this a Kubernetes API server?",
    401: "the kubeconfig's user is not accepted: log in again, or give another --kubeconfig",
    403: "the user may not read events: allow 'list' and 'watch' on events in {scope}",
    404: "is this a Kubernetes API server?",
    405: "is this a Kubernetes API server?",
}


def _next_try(failure: Failure) -> dict[str, float]:
    return {"next_try_seconds": round(failure.wait_seconds, 1)}


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
