"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, in the event loop that does the work.

So a loop that is stuck answers nothing, which a probe takes for what it is. Bodies of the two probes are lines: ``ok``,
or why not. Nothing that is asked changes anything.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from collector.configuration.quantity import Address
from collector.errors import CollectorError
from collector.monitoring.connections import Connections, request_log
from collector.monitoring.exposition import Exposition
from collector.monitoring.vitals import Vitals
from pullstudy.pulls.notices import Notices

HEADER_BYTES = 4_096  # a line of a request
HEADERS = 32
CLOSE_SECONDS = 0.5  # for an answer that is under way at the end; aiohttp gives it a minute


class ListenError(CollectorError):
    """The address cannot be listened on."""


@asynccontextmanager
async def endpoints(address: Address, vitals: Vitals, notices: Notices) -> AsyncIterator[None]:
    """Served as long as the block lasts. Raises ListenError."""
    runner = web.AppRunner(
        application(vitals),
        access_log=None,
        logger=request_log(notices),
        shutdown_timeout=CLOSE_SECONDS,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        max_headers=HEADERS,
        lingering_time=0,
    )
    await runner.setup()
    assert runner.server is not None
    connections = Connections(runner.server, notices)
    server: asyncio.Server | None = None
    try:
        server = await _listen(connections, address)
        notices.info(f"listening on {_places(server)}: /metrics, /healthz, /readyz")
        closing = asyncio.create_task(connections.close_old())
        try:
            yield
        finally:
            closing.cancel()
            with suppress(asyncio.CancelledError):
                await closing
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


async def _listen(connections: Connections, address: Address) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(connections.accept, address.host, address.port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError(f"--listen {address}: {reason.lower()}; is another one running?") from error


def _places(server: asyncio.Server) -> str:
    # Without a host there are two: with port 0 of IPv4 and IPv6 each gets a free one of its own.
    names = (found.getsockname() for found in server.sockets)
    return " and ".join(f"http://{f'[{host}]' if ':' in host else host}:{port}" for host, port, *_ in names)


def application(vitals: Vitals) -> web.Application:
    """The three pages."""
    exposition = Exposition(vitals.readings)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = exposition.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def live(_: web.Request) -> web.Response:
        return _verdict(vitals.why_not_live())

    async def ready(_: web.Request) -> web.Response:
        return _verdict(vitals.why_not_ready())

    async def last_of_its_connection(_: web.Request, response: web.StreamResponse) -> None:
        response.force_close()  # each connection is closed after some seconds, and not in the middle of an answer

    made = web.Application(client_max_size=HEADER_BYTES)
    made.on_response_prepare.append(last_of_its_connection)
    made.add_routes([web.get("/metrics", metrics), web.get("/healthz", live), web.get("/readyz", ready)])
    return made


def _verdict(reasons: list[str]) -> web.Response:
    text = "".join(f"{reason}\n" for reason in reasons or ["ok"])
    return web.Response(status=503 if reasons else 200, text=text)
