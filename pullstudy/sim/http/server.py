"""The HTTP server on loopback: one port, behind it a cluster that can be exchanged, a socket that can be closed."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from pullstudy.pulls.printable import printable
from pullstudy.sim.api import status
from pullstudy.sim.cluster import ClusterSettings, SimCluster, successor
from pullstudy.sim.faults.http import HttpFaults
from pullstudy.sim.faults.kinds import AnyFault
from pullstudy.sim.http.admin import Admin
from pullstudy.sim.http.fault_orders import FaultOrders
from pullstudy.sim.http.rest import RestApi
from pullstudy.sim.http.span_sender import SpanSender
from pullstudy.sim.http.streams import BOOKMARK_SECONDS, Streams
from pullstudy.sim.time.pacing import PATIENCE_SECONDS, Pacer

HOST = "127.0.0.1"
MAX_BODY_BYTES = 16 * 1024 * 1024
BACKLOG = 256
# What a request that no check foresaw raises. It is the client's word that was not understood: the cluster goes on.
_UNREADABLE = (
    *(AttributeError, KeyError, IndexError, OverflowError, RecursionError, TypeError, ValueError),
    *(msgspec.MsgspecError, web.RequestPayloadError),
)


class _ServedCluster:
    """One cluster with all that serves it: exchanged as a whole when another takes its place."""

    def __init__(
        self,
        settings: ClusterSettings,
        speed: float | None,
        patience_seconds: float,
        away: Callable[[float], None],
        restart: Callable[[str | None], None],
        otlp: str | None,
    ) -> None:
        self.cluster = SimCluster(settings)
        http_faults = HttpFaults()
        self.streams = Streams(http_faults)
        self.sender = SpanSender(self.cluster.outbox, otlp)
        self.cluster.history.on_write = self.streams.written
        self.cluster.clock.every(BOOKMARK_SECONDS, self.streams.bookmark_all)
        settle = self.cluster.fleet.report_images
        self.pacer = Pacer(self.cluster.clock, speed, self._keep_up, settle, patience_seconds)
        self.orders = FaultOrders(self.cluster, http_faults, self.streams, away, restart)
        self.rest = RestApi(self.cluster, self.streams, http_faults, None if speed is None else 1 / speed)
        self.admin = Admin(self.cluster, self.orders, self.pacer, self.streams, self.sender)
        self.running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sender.run())
            group.create_task(self.pacer.run())

    async def _keep_up(self) -> None:
        await self.streams.keep_up()
        await self.sender.keep_up()

    async def stop(self) -> None:
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running
        for stream in self.streams.matching("*"):
            stream.cut()


class SimServer:
    """Use ``serving``. ``failed`` ends with an exception if the simulation broke."""

    def __init__(
        self,
        settings: ClusterSettings,
        speed: float | None,
        port: int,
        patience_seconds: float = PATIENCE_SECONDS,
        otlp: str | None = None,
    ) -> None:
        self._settings = settings
        self._otlp = otlp
        self._speed = speed
        self._patience_seconds = patience_seconds
        self.port = port
        self._served: _ServedCluster | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._returning: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def cluster(self) -> SimCluster:
        assert self._served is not None
        return self._served.cluster

    async def start(self) -> None:
        """Raises OSError if the port is taken."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.on_response_prepare.append(self._stamp)
        # A watch whose reader has gone has to end: its handler is cancelled.
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.2, keepalive_timeout=600
        )
        await self._runner.setup()
        await self._listen()
        self._served = self._new_served(self._settings, self._otlp)

    def _new_served(self, settings: ClusterSettings, otlp: str | None) -> _ServedCluster:
        return _ServedCluster(settings, self._speed, self._patience_seconds, self._go_away, self._restart_as, otlp)

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, HOST, self.port, reuse_address=True, backlog=BACKLOG)
        await self._site.start()
        if not self.port:
            self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
        if self._leaving is not None:
            await self._leaving
        if self._served is not None:
            await self._served.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait_broken(self) -> None:
        """Return only when the simulation itself failed, by raising what it failed with."""
        while True:
            assert self._served is not None
            running = self._served.running
            await asyncio.wait([running])
            if not running.cancelled():
                running.result()
            await asyncio.sleep(0)

    def inject(self, faults: list[AnyFault]) -> list[dict[str, Any]]:
        assert self._served is not None
        return [self._served.orders.inject(fault) for fault in faults]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        behind = self._served
        assert behind is not None
        behind.pacer.touch(writes=request.method not in ("GET", "HEAD"))
        try:
            if request.path.startswith("/sim/"):
                return await behind.admin.handle(request)
            return await behind.rest.handle(request)
        except status.ApiFailureError as error:
            return _refusal(error)
        except ConnectionResetError:  # a watch's client that has gone before its answer began: nobody reads this one
            return web.Response()
        except web.HTTPException as error:  # a body over MAX_BODY_BYTES
            return _refusal(status.ApiFailureError(error.status, "RequestEntityTooLarge", error.reason))
        except _UNREADABLE as error:
            said = f"{request.method} {request.path}: {type(error).__name__}: {error}"
            sys.stderr.write(f"sim: {printable(said[:500])}\n")
            return _refusal(status.bad_request(f"the request could not be read: {type(error).__name__}"))

    async def _stamp(self, _: web.Request, response: web.StreamResponse) -> None:
        # The server's Date is virtual: clients that compare it with their clock see the skew.
        response.headers["Date"] = format_datetime(self.cluster.clock.at(), usegmt=True)

    def _go_away(self, seconds: float) -> None:
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._away(seconds))

    async def _away(self, seconds: float) -> None:
        assert self._site is not None
        assert self._runner is not None
        assert self._runner.server is not None
        await asyncio.sleep(0.01)  # the order itself is answered first
        await self._site.stop()
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        await self._listen()

    def _restart_as(self, name: str | None) -> None:
        old = self._served
        assert old is not None
        self._served = self._new_served(successor(old.cluster.settings, name), old.sender.url)
        self._leaving = asyncio.create_task(old.stop())


def _refusal(error: status.ApiFailureError) -> web.Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return web.Response(body=error.body() + b"\n", status=error.code, headers=headers)


@contextlib.asynccontextmanager
async def serving(
    settings: ClusterSettings,
    speed: float | None = None,
    port: int = 0,
    patience_seconds: float = PATIENCE_SECONDS,
    otlp: str | None = None,
) -> AsyncIterator[SimServer]:
    """A server that answers inside the block. ``otlp``: where spans are sent. Raises OSError if the port is taken."""
    server = SimServer(settings, speed, port, patience_seconds, otlp)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
