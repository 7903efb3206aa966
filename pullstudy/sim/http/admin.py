"""The simulator's own side of the port, under /sim/: the truth, faults, caches, and time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web

from pullstudy.sim.api import status
from pullstudy.sim.cluster import SimCluster
from pullstudy.sim.faults.kinds import LONGEST_SECONDS, FaultError, parse_faults
from pullstudy.sim.http.fault_orders import FaultOrders
from pullstudy.sim.http.span_sender import SpanSender
from pullstudy.sim.http.streams import Streams
from pullstudy.sim.time.pacing import Pacer

Json = dict[str, Any]
S = TypeVar("S", bound=msgspec.Struct)
_Image = Annotated[str, msgspec.Meta(max_length=1_000)]
_MOST_IMAGES = 1_000  # of one order
_STEP_SECONDS = 60.0


class _Images(msgspec.Struct):
    images: (
        Annotated[list[Annotated[str, msgspec.Meta(max_length=1_000)]], msgspec.Meta(max_length=_MOST_IMAGES)] | None
    ) = None


class _Advance(msgspec.Struct):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_SECONDS)] = 0.0


class _Otlp(msgspec.Struct):
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$", max_length=1_000)] | None = None


class Admin:
    """What a test or an experimenter asks, and no client of a real cluster could."""

    def __init__(
        self, cluster: SimCluster, orders: FaultOrders, pacer: Pacer, streams: Streams, sender: SpanSender
    ) -> None:
        self._cluster = cluster
        self._orders = orders
        self._pacer = pacer
        self._streams = streams
        self._sender = sender

    async def handle(self, request: web.Request) -> web.Response:
        """Raises ApiFailureError."""
        routes: dict[tuple[str, str], Callable[[web.Request], Awaitable[Any]]] = {
            ("GET", "truth"): self._truth,
            ("GET", "state"): self._state,
            ("GET", "faults"): self._pending_faults,
            ("POST", "faults"): self._inject,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "cache/clear"): self._clear_caches,
            ("POST", "cache/preload"): self._preload,
            ("POST", "advance"): self._advance,
            ("POST", "spans"): self._send_spans,
            ("POST", "spans/sent"): self._sent_spans,
        }
        action = routes.get((request.method, request.path.removeprefix("/sim/").strip("/")))
        if action is None:
            raise status.no_such_path()
        return web.Response(body=msgspec.json.encode(await action(request)), content_type="application/json")

    async def _truth(self, request: web.Request) -> list[Json]:
        return list(self._cluster.truth.rows(request.query.get("job"), request.query.get("outcome")))

    async def _state(self, _: web.Request) -> Json:
        return {
            "cluster": self._cluster.settings.name,
            "identity": self._cluster.identity,
            "now": self._cluster.clock.at().isoformat(timespec="microseconds"),
            "seconds": self._cluster.clock.now,
            "speed": self._pacer.speed or "max",
            "resource_version": str(self._cluster.history.version),
            "oldest_version": str(self._cluster.history.oldest),
            "idle": self._pacer.idle and self._streams.caught_up,
            "watches": len(self._streams.matching("*")),
            "nodes": len(self._cluster.fleet.all()),
            "seed": self._cluster.settings.seed,
        }

    async def _pending_faults(self, _: web.Request) -> list[Any]:
        return list(self._orders.pending())

    async def _inject(self, request: web.Request) -> list[Json]:
        try:
            faults = parse_faults(await request.read())
        except FaultError as error:
            raise status.bad_request(str(error)) from error
        return [self._orders.inject(fault) for fault in faults]

    async def _clear_faults(self, _: web.Request) -> Json:
        self._orders.clear()
        return {}

    async def _clear_caches(self, request: web.Request) -> Json:
        """Body: {"images": [...] or null for all}."""
        images = (await _read(request, _Images)).images
        return {"nodes": self._cluster.fleet.clear_caches(None if images is None else set(images))}

    async def _preload(self, request: web.Request) -> Json:
        """Body: {"images": [...]}: put them on every node, as if they had been pulled."""
        self._cluster.fleet.preload((await _read(request, _Images)).images or [])
        return {}

    async def _send_spans(self, request: web.Request) -> Json:
        """Body: {"url": ...}: the receiver of spans from now on, or null for none."""
        self._sender.send_to((await _read(request, _Otlp)).url)
        return {}

    async def _sent_spans(self, _: web.Request) -> Json:
        """Answered when all that was made by now is sent, or given up."""
        await self._sender.sent()
        return {"dropped_bytes": self._sender.dropped_bytes}

    async def _advance(self, request: web.Request) -> Json:
        """Body: {"seconds": S}, a week at most: move virtual time on; everything due happens."""
        clock = self._cluster.clock
        until = clock.now + (await _read(request, _Advance)).seconds
        while clock.now < until:  # in steps, so that others are answered meanwhile
            clock.run_until(min(until, clock.now + _STEP_SECONDS))
            await asyncio.sleep(0)
        return {"now": self._cluster.clock.at().isoformat(timespec="microseconds")}


async def _read(request: web.Request, kind: type[S]) -> S:
    """The body as that. Raises ApiFailureError 400."""
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise status.bad_request(f"not understood: {error}") from error
