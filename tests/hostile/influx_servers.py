"""Servers that are taken for InfluxDB and are not, or that answer as no InfluxDB would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from tests.store.influx_server import FakeInflux

_PIECE_BYTES = 1 << 16
PAGE = "<!doctype html><html><head><title>InfluxDB</title></head><body><div id='root'></div></body></html>"


async def page(request: web.Request) -> web.Response:
    """As influxd with its web interface answers each path that is not its API's, whatever the method."""
    await request.read()
    return web.Response(text=PAGE, content_type="text/html")


@asynccontextmanager
async def with_web_interface(fake: FakeInflux, prefix: str = "") -> AsyncIterator[str]:
    """Its API under the prefix, and the page everywhere else; the address without the prefix."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post(f"{prefix}/api/v2/write", fake.write)
    app.router.add_post(f"{prefix}/api/v2/query", fake.query)
    app.router.add_route("*", "/{path:.*}", page)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(make: Callable[[], bytes]) -> AsyncIterator[str]:
    """A server that reads a request's head and sends these bytes, whatever they are, and ends; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            sent = memoryview(make())
            for start in range(0, len(sent), _PIECE_BYTES):
                writer.write(sent[start : start + _PIECE_BYTES])
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has read enough
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP answer's bytes; underscores in names of headers stand for hyphens."""
    named = {"Content-Length": str(len(body)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body
