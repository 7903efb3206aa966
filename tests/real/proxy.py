"""A small HTTP proxy that knows CONNECT and nothing else, and which addresses were asked of it."""

import asyncio
from types import TracebackType
from typing import Self

from tests.real.relay import pass_on


class ConnectProxy:
    """On a loopback port."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for tunnel in self._tunnels:
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            await self._tunnel(near_reader, near)
        finally:
            self._tunnels.discard(task)
            near.close()

    async def _tunnel(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        head = await near_reader.readuntil(b"\r\n\r\n")
        method, address, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(address)
        if method != "CONNECT":
            near.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            return
        host, _, port = address.rpartition(":")
        far_reader, far = await asyncio.open_connection(host, int(port))
        near.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(pass_on(near_reader, far), pass_on(far_reader, near))
        finally:
            far.close()
