"""The pods of a cluster, listed and then watched for ever, each told to the reconciler as it is now.

By the same protocol as events, but nothing is kept on disk: after a restart pods are listed again, and what was deleted
meanwhile is told by nobody. The log is the event watch's, which meets the same server's troubles; only a missing
permission is of the pods alone.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import msgspec

from collector.context import Context
from collector.errors import KubeconfigError
from collector.reconciling.reconcile import Reconciler
from collector.sources.api import CutError, ObjectApi, RefusedError
from collector.sources.backoff import step_seconds
from collector.sources.intake import PageError, read_page
from collector.sources.lines import LineSplitter, LineTooLongError
from collector.sources.watch_protocol import ListPage, Prove, Refusal, Request, Take, Watch, WatchProtocol
from pullstudy.pulls.event import UNREADABLE, Event, Metadata, WatchLine, decode_event_json
from pullstudy.pulls.pod import Pod, decode_pod

SHUT_OUT = (401, 403, 404)


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_line = msgspec.json.Decoder(_Line).decode


class PodWatch:
    """Reads pods for ever."""

    def __init__(self, api: ObjectApi, reconciler: Reconciler, context: Context) -> None:
        self._api = api
        self._reconciler = reconciler
        self._settings = context.settings
        self._clock = context.clock
        self._random = context.random
        self._log = context.log
        self._status = context.status
        self._protocol = WatchProtocol(page_items=context.settings.watch.page_items)
        self._protocol.identified("")
        self._told_shut_out = False
        self._login_renewed = False  # since the last answer

    async def run(self) -> None:
        """Never returns."""
        while True:
            step = self._protocol.next_step()
            await self._clock.sleep(step_seconds(step, self._settings.backoff, self._random))
            try:
                await self._send(step.request)
            except RefusedError as error:
                await self._refused(error.refusal, step.request)
            except CutError:
                self._broken(step.request, quick=True)

    async def _send(self, request: Request) -> None:
        match request:
            case ListPage():
                await self._list(request)
            case Prove():
                await self._api.prove(request.version)
                self._protocol.proven()
                self._reopened()
            case Watch():
                await self._watch(request)
            case _:  # the event watch identifies the cluster
                self._protocol.identified("")

    async def _list(self, request: ListPage) -> None:
        body = await self._api.list_page(limit=request.limit, continue_token=request.continue_token)
        try:
            page = read_page(body)
        except PageError as error:
            raise CutError(str(error)) from error
        if request.continue_token is None:
            self._reconciler.list_begins(self._api.server_time or self._clock.now())
        for item in page.items or ():
            self._see("ADDED", item)
        if self._protocol.page(page.metadata) is not None:
            self._reconciler.list_ends()
            self._reopened()

    async def _watch(self, request: Watch) -> None:
        timing = self._settings.watch
        timeout_seconds = self._random.uniform(timing.timeout_min_seconds, timing.timeout_max_seconds)
        started = self._clock.monotonic_seconds()
        seen_before = self._status.pods

        def quick() -> bool:
            lasted = self._clock.monotonic_seconds() - started
            return self._status.pods == seen_before and lasted < timing.quick_seconds

        try:
            async with aclosing(self._api.watch(request.version, timeout_seconds)) as chunks:
                take = await self._read(chunks)
        except CutError:
            self._broken(request, quick=quick())
        else:
            if take is not Take.END:
                self._protocol.ended(quick=quick())

    async def _read(self, chunks: AsyncIterator[bytes]) -> Take:
        splitter = LineSplitter()
        async for chunk in chunks:
            try:
                lines = splitter.feed(chunk)
            except LineTooLongError as error:
                raise CutError("a line without end") from error
            if self._take(lines) is Take.END:
                return Take.END
        return Take.NOTHING

    def _take(self, lines: Iterable[bytes]) -> Take:
        for raw in lines:
            try:
                line = _decode_line(raw)
            except UNREADABLE:
                self._status.pods_unreadable += 1
                continue
            if line.type == "ERROR":
                return self._protocol.line(WatchLine(line.type, decode_event_json(line.object)))
            version = self._see(line.type, line.object)
            self._protocol.line(WatchLine(line.type, Event(metadata=Metadata(resource_version=version))))
        return Take.NOTHING

    def _see(self, kind: str, raw: msgspec.Raw) -> str:
        """Its version; empty where it cannot be read: then it is counted, and the rest goes on."""
        try:
            pod = decode_pod(raw)
        except UNREADABLE:
            self._status.pods_unreadable += 1
            return ""
        self._status.pods += 1
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            self._tell(kind, pod)
        return pod.metadata.resource_version

    def _tell(self, kind: str, pod: Pod) -> None:
        self._reconciler.see(pod, self._clock.monotonic_seconds())
        if kind == "DELETED":
            self._reconciler.gone(pod)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    async def _refused(self, refusal: Refusal, request: Request) -> None:
        self._status.pod_reconnects += 1
        self._protocol.refused(refusal, request)
        if refusal.code == 401 and not self._login_renewed:
            self._login_renewed = True
            await self._log_in_again()
        elif refusal.code in SHUT_OUT:
            self._say_shut_out(refusal)
            await self._clock.sleep(self._settings.reconcile.shut_out_seconds)
            self._login_renewed = False

    def _say_shut_out(self, refusal: Refusal) -> None:
        if not self._told_shut_out:
            self._log.warning(
                f"pods may not be read ({refusal}): pulls whose events the kubelet dropped are not found; allow 'list' "
                "and 'watch' on pods, or say --no-reconcile"
            )
        self._told_shut_out = True

    async def _log_in_again(self) -> None:
        try:
            await self._api.log_in_again()
        except KubeconfigError as error:
            self._log.warning(f"the login cannot be renewed: {error}")

    def _reopened(self) -> None:
        self._login_renewed = False
        if self._told_shut_out:
            self._told_shut_out = False
            self._log.info("pods may be read again")

    def _broken(self, request: Request, *, quick: bool) -> None:
        self._status.pod_reconnects += 1
        self._protocol.broken(request, quick=quick)
