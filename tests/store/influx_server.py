"""A server that answers as InfluxDB's write API does, and misbehaves on demand: a real wire, and a dict behind it."""

import asyncio
import gzip
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from pullstudy.store.influx.line_protocol import Line, parse_line

Key = tuple[str, tuple[tuple[str, str], ...], int]


@dataclass(frozen=True)
class Trouble:
    """One answer that is not the server's usual one."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    cut: bool = False  # the connection is cut instead
    lose_reply: bool = False  # the points are written, and then the connection is cut


class FakeInflux:
    """Points by what makes them one; what is refused is told by the predicates."""

    def __init__(self) -> None:
        self.points: dict[Key, Line] = {}
        self.requests: list[int] = []  # lines of each write
        self.tokens: list[str | None] = []
        self.troubles: deque[Trouble] = deque()
        self.malformed: Callable[[Line], bool] = lambda line: False
        self.conflicting: Callable[[Line], bool] = lambda line: False
        self.most_bytes = 50_000_000
        self.keeps = True
        self.hold: Callable[[], Awaitable[None]] | None = None
        self.answers: Callable[[str], list[dict[str, object]]] = lambda flux: []
        self.refuse_queries: Callable[[], int | None] = lambda: None
        self.url = ""

    async def query(self, request: web.Request) -> web.Response:
        """It answers as told, has the points of checks and else none."""
        self.tokens.append(request.headers.get("Authorization"))
        flux = (await request.json())["query"]
        if (status := self.refuse_queries()) is not None:
            return _problem(status, "not found" if status == 404 else "refused", "could not find bucket")
        rows = self.answers(flux) or (self._checked() if '"pullstudy_check"' in flux else [])
        if not rows and "influxdb.cardinality" in flux:
            rows = [{"layout": 1, "series": 0}, {"layout": 2, "series": 0}]
        head = dict.fromkeys(name for row in rows for name in row)
        lines = [",".join(head), *(",".join(str(row.get(name, "")) for name in head) for row in rows)]
        return web.Response(content_type="text/csv", text="\r\n".join([*lines, ""]))

    async def write(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.tokens.append(request.headers.get("Authorization"))
        if self.hold is not None:
            await self.hold()
        lines = [parse_line(line) for line in _lines(body.decode())]
        self.requests.append(len(lines))
        if self.troubles:
            trouble = self.troubles.popleft()
            if trouble.lose_reply:
                self._keep(lines)
            if trouble.cut or trouble.lose_reply:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=trouble.status, headers=trouble.headers, text=trouble.body)
        return self._answer(lines, len(body))

    def _answer(self, lines: list[Line], size: int) -> web.Response:
        if not lines:
            return _problem(400, "invalid", "writing requires points")
        if size > self.most_bytes:
            return _problem(413, "request too large", "unable to read data: points batch is too large")
        if bad := [line for line in lines if self.malformed(line)]:
            return _problem(400, "invalid", f"unable to parse '{bad[0].measurement} v=': missing field value")
        refused = [line for line in lines if self.conflicting(line)]
        self._keep([line for line in lines if line not in refused])
        if refused:
            text = f"failure writing points to database: partial write: field type conflict dropped={len(refused)}"
            return _problem(422, "unprocessable entity", text)
        return web.Response(status=204)

    def _keep(self, lines: list[Line]) -> None:
        if not self.keeps:
            return
        self.points |= {(line.measurement, tuple(sorted(line.tags.items())), line.time): line for line in lines}

    def _checked(self) -> list[dict[str, object]]:
        return [{"_value": line.fields["word"]} for key, line in self.points.items() if key[0] == "pullstudy_check"]

    def uids(self) -> list[str]:
        return sorted(line.fields["event_uid"] for line in self.points.values())


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


def _lines(text: str) -> list[str]:
    lines, quoted, start = [], False, 0
    for position, character in enumerate(text):
        if character == '"' and text[position - 1] != "\\":
            quoted = not quoted
        elif character == "\n" and not quoted:
            lines.append(text[start:position])
            start = position + 1
    return [*lines, text[start:]] if text[start:] else lines


@asynccontextmanager
async def fake_influx() -> AsyncIterator[FakeInflux]:
    fake = FakeInflux()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/v2/write", fake.write)
    app.router.add_post("/api/v2/query", fake.query)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
