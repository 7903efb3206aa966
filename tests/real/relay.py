"""A relay in front of a server, so that its connections can be cut without touching the server."""

import asyncio
from types import TracebackType
from typing import Self

PIECE_BYTES = 1 << 16


class Relay:
    """Passes bytes from a loopback port of its own to the server's, both ways."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> int:
        """Reset every connection there is; how many there were. New ones are let through."""
        count = len(self._writers) // 2
        for writer in self._writers:
            writer.transport.abort()
        return count

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._join(near_reader, near)
        finally:
            self._connections.discard(task)

    async def _join(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection(*self._to)
        except OSError:  # the server is away: the client finds out as it would without a relay
            near.transport.abort()
            return
        self._writers |= {near, far}
        try:
            await asyncio.gather(pass_on(near_reader, far), pass_on(far_reader, near))
        finally:
            self._writers -= {near, far}


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes from one side, until either is gone."""
    try:
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except OSError:  # cut
        pass
    finally:
        writer.close()
