"""The simulator's own side of the port, under /sim/: the truth, faults, caches, and time."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from pullstudy.sim.api import status
from pullstudy.sim.cluster import SimCluster
from pullstudy.sim.faults.kinds import FaultError, parse_faults
from pullstudy.sim.http.fault_orders import FaultOrders
from pullstudy.sim.http.streams import Streams
from pullstudy.sim.time.pacing import Pacer

Json = dict[str, Any]


class Admin:
    """What a test or an experimenter asks, and no client of a real cluster could."""

    def __init__(self, cluster: SimCluster, orders: FaultOrders, pacer: Pacer, streams: Streams) -> None:
        self._cluster = cluster
        self._orders = orders
        self._pacer = pacer
        self._streams = streams

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
        images = (await _document(request)).get("images")
        return {"nodes": self._cluster.fleet.clear_caches(None if images is None else set(images))}

    async def _preload(self, request: web.Request) -> Json:
        """Body: {"images": [...]}: put them on every node, as if they had been pulled."""
        self._cluster.fleet.preload(list((await _document(request)).get("images", ())))
        return {}

    async def _advance(self, request: web.Request) -> Json:
        """Body: {"seconds": S}: move virtual time on; everything due happens."""
        seconds = float((await _document(request)).get("seconds", 0))
        self._cluster.clock.run_until(self._cluster.clock.now + seconds)
        return {"now": self._cluster.clock.at().isoformat(timespec="microseconds")}


async def _document(request: web.Request) -> Json:
    raw = await request.read()
    try:
        document = msgspec.json.decode(raw or b"{}")
    except msgspec.DecodeError as error:
        raise status.bad_request(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise status.bad_request("a JSON object is expected")
    return document
