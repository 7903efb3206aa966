"""Spans of a runtime, taken over OTLP/HTTP on the loopback for as long as pulls are profiled, and what they say.

Source: the OTLP specification, "OTLP/HTTP". Needs the extra ``otlp``.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from driver.errors import DriverError
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.image import full_reference
from pullstudy.pulls.kind import Record
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.spans.otlp import OtlpError, otlp_reader
from pullstudy.pulls.spans.span import Span
from pullstudy.pulls.spans.stage_records import records_of

LOOPBACK = "127.0.0.1"
USUAL_PORT = 4318
PROTOBUF = "application/x-protobuf"
_MOST_BYTES = 64 << 20
_CLOSE_SECONDS = 0.5


class TakenPortError(DriverError):
    """Somebody listens there already."""


class SpanIntake:
    """What came, by trace."""

    def __init__(self, origin: Origin) -> None:
        """Raises MissingExtraError."""
        self._origin = origin
        self._read = otlp_reader()
        self._traces: dict[str, list[Span]] = {}
        self.came = 0  # spans of pulls

    async def take(self, request: web.Request) -> web.Response:
        try:
            found = self._read(await request.read())
        except OtlpError as error:
            return web.Response(status=400, text=str(error))
        for span in found.spans:
            self._traces.setdefault(span.trace, []).append(span)
        self.came += len(found.spans)
        return web.Response(body=b"", content_type=PROTOBUF)

    def pull_of(self, image: str, began: float, ended: float) -> tuple[PullStages, tuple[PulledLayer, ...]] | None:
        """The pull of this image that began between these (seconds since 1970), as far as its spans came."""
        for spans in self._traces.values():
            records = records_of(spans, self._origin)
            for stages in records:
                if isinstance(stages, PullStages) and _is_of(stages, image, began, ended):
                    return stages, _layers(records, stages)
        return None


def _is_of(stages: PullStages, image: str, began: float, ended: float) -> bool:
    same = stages.image is not None and full_reference(stages.image).same_image(full_reference(image))
    return same and began <= stages.started_at.timestamp() <= ended


def _layers(records: list[Record], stages: PullStages) -> tuple[PulledLayer, ...]:
    return tuple(each for each in records if isinstance(each, PulledLayer) and each.pull == stages.pull)


@asynccontextmanager
async def span_intake(port: int, origin: Origin) -> AsyncIterator[SpanIntake]:
    """On this port of the loopback, until the block ends. Raises TakenPortError, MissingExtraError."""
    intake = SpanIntake(origin)
    application = web.Application(client_max_size=_MOST_BYTES)
    application.add_routes([web.post("/v1/traces", intake.take)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSE_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise TakenPortError(
                f"{LOOPBACK}:{port}: {why}: spans of containerd come there; stop the collector that takes them for as "
                f"long as this runs, or name another port that containerd sends to by --otlp-port"
            ) from error
        yield intake
    finally:
        await runner.cleanup()
