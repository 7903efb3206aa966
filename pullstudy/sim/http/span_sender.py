"""Sends the nodes' spans on, as an exporter does: OTLP over HTTP, again where it is told to come again.

Source: the OTLP specification, "OTLP/HTTP": 429, 502, 503 and 504 are for now, with Retry-After where it is known.
"""

import asyncio
import sys
import time

import aiohttp

from pullstudy.pulls.printable import printable
from pullstudy.sim.tracing.outbox import SpanOutbox

PATH = "/v1/traces"
_HEADERS = {"Content-Type": "application/x-protobuf"}
REQUEST_BYTES = 512 << 10
MOST_BYTES = 8 << 20  # that wait: then virtual time waits for them
GATHER_SECONDS = 0.25  # real: for the next ones to share a request, as exporters gather for 5 s
ANSWER_SECONDS = 30.0
GIVE_UP_SECONDS = 60.0  # real: an exporter that nobody answers drops what it has
_PAUSES = (0.1, 5.0)  # the first, and the longest, each twice the one before
_COME_AGAIN = (429, 502, 503, 504)


class SpanSender:
    """Of one cluster. Without an address nothing is made or sent."""

    def __init__(self, outbox: SpanOutbox, url: str | None) -> None:
        self._outbox = outbox
        self._url = url
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()
        self._under_way = False
        self.dropped_bytes = 0
        outbox.wanted = url is not None
        outbox.on_change = self._changed.set

    @property
    def url(self) -> str | None:
        return self._url

    def send_to(self, url: str | None) -> None:
        """The receiver's address from now on, of what waits too; None: nobody's."""
        self._url = url
        self._outbox.wanted = url is not None
        self._changed.set()

    async def run(self) -> None:
        """For ever, until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._outbox.size_bytes < REQUEST_BYTES:
                    await asyncio.sleep(GATHER_SECONDS)
                while body := self._outbox.take(REQUEST_BYTES):
                    self._under_way = True
                    await self._send(session, body)
                    self._under_way = False
                    self._tell_sent()

    def _tell_sent(self) -> None:
        self._sent.set()
        self._sent.clear()

    async def keep_up(self) -> None:
        """Return when not too much waits."""
        while self._outbox.size_bytes > MOST_BYTES:
            await self._sent.wait()

    async def sent(self) -> None:
        """Return when all that was made by now is sent, or given up."""
        while self._outbox.size_bytes or self._under_way:
            await self._sent.wait()

    async def _send(self, session: aiohttp.ClientSession, body: bytes) -> None:
        begun, pause = time.monotonic(), _PAUSES[0]
        why = ""
        while self._url is not None and time.monotonic() - begun < GIVE_UP_SECONDS:
            try:
                async with session.post(f"{self._url}{PATH}", data=body, headers=_HEADERS) as answer:
                    if answer.status == 200:
                        return
                    why = f"answered {answer.status}"
                    if answer.status not in _COME_AGAIN:
                        break
                    pause = max(pause, _seconds(answer.headers.get("Retry-After", "")))
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSES[1])
        self.dropped_bytes += len(body)
        sys.stderr.write(f"sim: {len(body)} bytes of spans are dropped: {self._url}: {printable(why)}\n")


def _seconds(text: str) -> float:
    return min(float(text), GIVE_UP_SECONDS) if text.isdecimal() else 0.0
