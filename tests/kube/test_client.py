"""What the edge to a cluster reads of an answer's head."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pullstudy.kube.access import Access
from pullstudy.kube.client import open_client
from pullstudy.kube.errors import IncompleteError, StatusError, TransportError
from pullstudy.kube.settings import WatchSettings
from tests.collector.api_server import ApiServer, refuse, serving, write_kubeconfig


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", ""])
async def test_the_servers_time_is_utc_however_a_proxy_writes_it(tmp_path: Path, zone: str) -> None:
    async with serving(ApiServer()) as server:
        access = Access(kubeconfig=str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
        server.instead["identity"].append(refuse(404, "no", {"Date": f"Tue, 24 Nov 2026 10:00:00 {zone}".strip()}))
        async with open_client(access, WatchSettings()) as client:
            with pytest.raises(StatusError, match="read namespace kube-system: the API server answered 404"):
                await client.get("read namespace kube-system", "/api/v1/namespaces/kube-system")
            assert client.server_time == datetime(2026, 11, 24, 10, tzinfo=UTC)


Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("connected", [silent, closing, cutting])
async def test_a_server_that_was_reached_and_gives_no_whole_answer_is_told_from_one_that_was_not(
    tmp_path: Path, connected: Connected
) -> None:
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    access = Access(kubeconfig=str(write_kubeconfig(tmp_path / "kubeconfig", f"http://{host}:{port}")))
    async with open_client(access, WatchSettings(request_seconds=0.3)) as client:
        async with server:
            with pytest.raises(IncompleteError):
                await client.get("list", "/api/v1/events")
        with pytest.raises(TransportError) as caught:
            await client.get("list", "/api/v1/events")
    assert type(caught.value) is TransportError
