"""Whoever reaches ``--listen`` can end neither the collector nor its watch, nor fill its log."""

import asyncio
import socket
from contextlib import ExitStack, suppress

import pytest
from aiohttp import web

from collector.configuration.quantity import Address
from collector.monitoring.connections import MOST_CONNECTIONS, Connections
from collector.monitoring.endpoints import endpoints
from collector.monitoring.vitals import Vitals
from tests.collector.polling import until
from tests.collector.scraping import Endpoint
from tests.hostile.conftest import Attack
from tests.notices import KeptNotices


def address_of(endpoint: Endpoint) -> tuple[str, int]:
    host, _, port = endpoint.url.removeprefix("http://").rpartition(":")
    return host, int(port)


async def connect(sockets: ExitStack, endpoint: Endpoint) -> socket.socket:
    opened = sockets.enter_context(socket.socket())
    opened.setblocking(False)
    await asyncio.get_running_loop().sock_connect(opened, address_of(endpoint))
    return opened


async def test_a_thousand_idle_connections_keep_no_probe_from_its_answer(attack: Attack) -> None:
    notices = KeptNotices()
    async with endpoints(Address("127.0.0.1:0"), Vitals(), notices):
        endpoint = Endpoint.told(notices.said("info")[0])
        open_now: list[int] = []
        for _ in range(10):  # 300 at a time, so that the test itself needs few descriptors
            with ExitStack() as sockets:
                for _ in range(100):
                    await connect(sockets, endpoint)
                status, _ = await endpoint.get("/healthz")
                open_now.append(status)
        assert open_now == [200] * 10
        await until(lambda: bool(notices.said("warning")))
        assert len(notices.said("warning")) == 1
    attack("1,000 idle connections", f"{MOST_CONNECTIONS} at a time, the oldest ended; one line; probes answered")


async def test_no_more_than_so_many_are_open(attack: Attack) -> None:
    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    server = web.Server(handle)
    connections = Connections(server, KeptNotices())
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(connections.accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with ExitStack() as sockets:
        for _ in range(300):
            await connect(sockets, Endpoint(f"http://127.0.0.1:{port}"))
        await until(lambda: len(server.connections) == MOST_CONNECTIONS)
        now = loop.time()
        connections.close_older_than(10.0, now)
        assert server.connections
        later = (now + 11 * look for look in range(1, 10_000))

        def all_closed() -> bool:  # some may be accepted only now
            connections.close_older_than(10.0, next(later))
            return not server.connections

        await until(all_closed)
    listening.close()
    await server.shutdown(0)
    attack("connections that send nothing for 10 s", "closed")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /\x1b[2J\r\nX HTTP/9.9\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: " + b"\xff" * 100 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nExpect: 100-continue\r\nUpgrade: websocket\r\n\r\n" * 50,
        b"GET http://[::bad/ HTTP/1.1\r\n\r\n",
        b"\r\n" * 50_000,
    ],
    ids=lambda found: repr(found[:20]),
)
async def test_a_malformed_request_costs_a_line_at_most(
    request_bytes: bytes, attack: Attack, capfd: pytest.CaptureFixture[str]
) -> None:
    notices = KeptNotices()
    async with endpoints(Address("127.0.0.1:0"), Vitals(), notices):
        endpoint = Endpoint.told(notices.said("info")[0])
        reader, writer = await asyncio.open_connection(*address_of(endpoint))
        writer.write(request_bytes)
        writer.write_eof()
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert (await endpoint.get("/healthz"))[0] == 200
    assert len(notices.said("warning")) <= 1
    assert capfd.readouterr() == ("", "")
    attack(f"a request {request_bytes[:24]!r}", "answered or closed, one line at most")


async def test_a_page_that_cannot_be_made_is_a_line_and_no_more(
    attack: Attack, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[str]:
        raise RuntimeError("a page\nof two lines")

    vitals, notices = Vitals(), KeptNotices()
    vitals.ready_when.append(lambda: broken()[0])
    async with endpoints(Address("127.0.0.1:0"), vitals, notices):
        endpoint = Endpoint.told(notices.said("info")[0])
        assert (await endpoint.get("/readyz"))[0] == 500
        assert (await endpoint.get("/healthz"))[0] == 200
    (said,) = notices.said("warning")
    assert "\n" not in said
    assert "RuntimeError" in said
    assert capfd.readouterr() == ("", "")
    attack("a failure of the endpoints' own", "500 and one line; the rest goes on")
