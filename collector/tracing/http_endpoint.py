"""OTLP over HTTP: ``POST /v1/traces`` with protobuf, plain or gzip.

Source: the OTLP specification, "OTLP/HTTP": 200 when it is kept, 400 where it never can be, 429 or 503 with Retry-After
where the exporter is to come again.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from collector.configuration.quantity import Address
from collector.errors import CollectorError
from collector.settings import TracingSettings
from collector.tracing.receiver import Answer, SpanReceiver
from collector.tracing.status_message import status_message

PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"
_CLOSE_SECONDS = 0.5


class OtlpListenError(CollectorError):
    """The address cannot be listened on."""

    def __init__(self, option: str, address: object, why: str) -> None:
        super().__init__(f"{option} {address}: {why}; is another one running?")


@asynccontextmanager
async def http_endpoint(address: Address, receiver: SpanReceiver, settings: TracingSettings) -> AsyncIterator[int]:
    """Served as long as the block lasts, on the port that is yielded. Raises OtlpListenError."""
    runner = web.AppRunner(_application(receiver, settings), access_log=None, shutdown_timeout=_CLOSE_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        try:
            await site.start()
        except OSError as error:
            raise OtlpListenError("--otlp", address, os.strerror(error.errno or 0).lower()) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _application(receiver: SpanReceiver, settings: TracingSettings) -> web.Application:
    later = {"Retry-After": str(settings.retry_seconds)}
    answers = {
        Answer.KEPT: (200, None),
        Answer.BAD: (400, None),
        Answer.BUSY: (429, later),
        Answer.FULL: (503, later),
    }

    async def export(request: web.Request) -> web.Response:
        if request.content_type != PROTOBUF:
            return _answer(415, f"send {PROTOBUF}")
        try:
            async with asyncio.timeout(settings.body_seconds):
                answer = await receiver.take(request.read)
        except TimeoutError:
            return _answer(408, "the request did not end")
        code, headers = answers[answer]
        return _answer(code, answer.value, headers)

    made = web.Application(client_max_size=settings.most_body_bytes)
    made.add_routes([web.post(PATH, export)])
    return made


def _answer(code: int, why: str, headers: dict[str, str] | None = None) -> web.Response:
    # A response without a field is no byte; a refusal's body is a google.rpc.Status.
    body = status_message(why) if why else b""
    return web.Response(status=code, body=body, content_type=PROTOBUF, headers=headers)
