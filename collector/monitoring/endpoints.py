"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, in the event loop that does the work.

So a loop that is stuck answers nothing, which a probe takes for what it is. Bodies of the two probes are lines: ``ok``,
or why not. Nothing that is asked changes anything.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from collector.configuration.quantity import Address
from collector.errors import CollectorError
from collector.monitoring.exposition import Exposition
from collector.monitoring.vitals import Vitals
from pullstudy.pulls.notices import Notices

CLOSE_SECONDS = 0.5  # for an answer that is under way at the end; aiohttp gives it a minute


class ListenError(CollectorError):
    """The address cannot be listened on."""


@asynccontextmanager
async def endpoints(address: Address, vitals: Vitals, notices: Notices) -> AsyncIterator[None]:
    """Served as long as the block lasts. Raises ListenError."""
    runner = web.AppRunner(application(vitals), access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        notices.info(f"listening on {await _listen(runner, address)}: /metrics, /healthz, /readyz")
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: Address) -> str:
    try:
        await web.TCPSite(runner, address.host, address.port).start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError(f"--listen {address}: {reason.lower()}; is another one running?") from error
    # Without a host there are two: with port 0 of IPv4 and IPv6 each gets a free one of its own.
    return " and ".join(f"http://{f'[{host}]' if ':' in host else host}:{port}" for host, port, *_ in runner.addresses)


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

    made = web.Application()
    made.add_routes([web.get("/metrics", metrics), web.get("/healthz", live), web.get("/readyz", ready)])
    return made


def _verdict(reasons: list[str]) -> web.Response:
    text = "".join(f"{reason}\n" for reason in reasons or ["ok"])
    return web.Response(status=503 if reasons else 200, text=text)
