"""OTLP over gRPC: ``TraceService/Export``.

Source: the OTLP specification, "OTLP/gRPC": UNAVAILABLE with RetryInfo where the exporter is to come again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from collector.configuration.quantity import Address
from collector.settings import TracingSettings
from collector.tracing.http_endpoint import OtlpListenError
from collector.tracing.receiver import Answer, SpanReceiver
from collector.tracing.status_message import status_message
from pullstudy.extras import require

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_UNAVAILABLE = 14
_CLOSE_SECONDS = 0.5


@asynccontextmanager
async def grpc_endpoint(address: Address, receiver: SpanReceiver, settings: TracingSettings) -> AsyncIterator[int]:
    """Served as long as the block lasts, on the port that is yielded. Raises OtlpListenError, MissingExtraError."""
    require("grpc", "otlp")
    import grpc

    async def export(body: bytes, context: Any) -> bytes:
        async def given() -> bytes:
            return body

        answer = await receiver.take(given)
        if answer is Answer.BAD:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, answer.value)
        if answer is not Answer.KEPT:
            details = status_message(answer.value, _UNAVAILABLE, settings.retry_seconds)
            await context.abort(grpc.StatusCode.UNAVAILABLE, answer.value, (("grpc-status-details-bin", details),))
        return b""

    server = grpc.aio.server(
        options=(("grpc.max_receive_message_length", settings.most_body_bytes), ("grpc.so_reuseport", 0)),
        maximum_concurrent_rpcs=4 * settings.most_requests,  # their bytes are read before they are asked for
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Export": grpc.unary_unary_rpc_method_handler(export)}),)
    )
    try:
        port = server.add_insecure_port(str(address) if address.host else f"[::]:{address.port}")
    except RuntimeError as error:
        raise OtlpListenError("--otlp-grpc", address, "cannot be listened on") from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(_CLOSE_SECONDS)
