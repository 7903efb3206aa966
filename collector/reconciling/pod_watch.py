"""The pods of a cluster, listed and then watched for ever: the watch loop's handler that shows each, as it is now, to
the reconciler.

Nothing is kept on disk: after a restart pods are listed again, and what was deleted meanwhile is reported by nobody.
The log is the event watch's, which meets the same server's troubles; only a missing permission is of the pods alone.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from collector.context import Context
from collector.reconciling.reconcile import Reconciler
from pullstudy.kube.errors import KubeconfigError, StatusError
from pullstudy.kube.list_watch import ListerWatcher
from pullstudy.kube.object_line import ObjectLine, decode_object_line
from pullstudy.kube.page import RawPage
from pullstudy.kube.watch_loop import Failure, WatchLoop
from pullstudy.kube.watch_protocol import Relisted, WatchProtocol
from pullstudy.pulls.bug import BUGS
from pullstudy.pulls.event import UNREADABLE
from pullstudy.pulls.pod import Pod, decode_pod

SHUT_OUT = (401, 403, 404)


class PodWatch:
    """Reads pods for ever."""

    def __init__(
        self,
        pods: ListerWatcher,
        reconciler: Reconciler,
        server_time: Callable[[], datetime | None],
        context: Context,
    ) -> None:
        """``server_time`` is the API server's clock at its last answer."""
        self._server_time = server_time
        self._reconciler = reconciler
        self._settings = context.settings.reconcile
        self._clock = context.clock
        self._log = context.log
        self._status = context.status
        self._said_shut_out = False
        self._bugs = context.bugs
        protocol = WatchProtocol(page_items=context.settings.watch.page_items)
        self._loop: WatchLoop[ObjectLine[Pod]] = WatchLoop(
            pods, protocol, self, context.settings.watch, context.clock, context.random, bugs=context.bugs
        )

    async def run(self) -> NoReturn:
        await self._loop.run()

    def decode(self, raw: bytes) -> ObjectLine[Pod]:
        return decode_object_line(raw, decode_pod)

    def unreadable(self, raw: bytes, error: Exception) -> None:
        self._status.pods_unreadable += 1

    def changed(self, line: ObjectLine[Pod], raw: bytes) -> None:
        if line.found is not None:
            self._see(line.found)

    def deleted(self, line: ObjectLine[Pod]) -> None:
        if line.found is not None:
            self._see(line.found)
            self._reconciler.gone(line.found)

    def _see(self, pod: Pod) -> None:
        self._status.pods += 1
        try:
            self._reconciler.see(pod, self._clock.monotonic_seconds())
        except BUGS as error:  # of one pod: the others are seen
            self._status.pods_unreadable += 1
            self._bugs.found("a pod's status", error)

    async def page(self, page: RawPage, *, first: bool) -> None:
        if first:
            self._reconciler.list_begins(self._server_time() or self._clock.now())
        for item in page.items or ():
            try:
                pod = decode_pod(item)
            except UNREADABLE as error:
                self.unreadable(bytes(item), error)
            else:
                self._see(pod)

    async def listed(self, relisted: Relisted) -> None:
        self._reconciler.list_ends()

    async def read(self, lines: int) -> None: ...

    def opened(self) -> None:
        if self._said_shut_out:
            self._said_shut_out = False
            self._log.info("pods may be read again")

    def closed(self) -> None: ...

    def ended(self) -> None: ...

    async def failed(self, failure: Failure) -> None:
        self._status.pod_reconnects += 1
        # After the first 401 the login is renewed.
        if isinstance(failure.error, StatusError) and failure.error.status in SHUT_OUT and failure.unauthorized != 1:
            self._say_shut_out(failure.error)
            await self._clock.sleep(self._settings.shut_out_seconds)

    def _say_shut_out(self, error: StatusError) -> None:
        if not self._said_shut_out:
            self._log.warning(
                f"pods may not be read ({error.cause}): pulls whose events the kubelet dropped are not found; allow "
                "'list' and 'watch' on pods, or say --no-reconcile"
            )
        self._said_shut_out = True

    def login_failed(self, error: KubeconfigError) -> None:
        self._log.warning(f"the login cannot be renewed: {error}")
