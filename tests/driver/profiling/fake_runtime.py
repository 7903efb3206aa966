"""A runtime in this process that speaks CRI on a socket, over real gRPC; and its spans, those of real pulls.

It has images by name, the ids that they have, and what it was asked, in order.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from driver.profiling.cri import CONTENT, PACKAGE, message_types
from tests.pulls.spans.samples import request_of

TYPES = message_types()


@dataclass
class FakeRuntime:
    """``sample`` of tests/data/containerd-spans is what its spans tell, moved to the time of the pull."""

    ids: dict[str, str] = field(default_factory=dict)  # of images that exist, by name
    held: dict[str, str] = field(default_factory=dict)  # of those that it has
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    blob: bytes | None = None  # what is read as any of its layers
    exporter: Callable[[str], Awaitable[None]] | None = None

    async def version(self, _: Any) -> Any:
        return TYPES["VersionResponse"](runtime_name="containerd", runtime_version="v2.4.2")

    async def list_images(self, _: Any) -> Any:
        images = [TYPES["Image"](id=id, repo_tags=[name]) for name, id in self.held.items()]
        return TYPES["ListImagesResponse"](images=images)

    async def image_status(self, request: Any) -> Any:
        id = self.held.get(request.image.image)
        return TYPES["ImageStatusResponse"](image=TYPES["Image"](id=id) if id else None)

    async def pull_image(self, request: Any) -> Any:
        name = request.image.image
        self.asked.append(f"pull {name}")
        self.logins.append(request.auth.auth)
        if name not in self.ids:
            raise LookupError(f"failed to resolve image: {name}: not found")
        self.held[name] = self.ids[name]
        if self.exporter is not None:
            await self.exporter(name)
        return TYPES["PullImageResponse"](image_ref=self.ids[name])

    async def read(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if dict(context.invocation_metadata()).get("containerd-namespace") != "k8s.io" or self.blob is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"content {request.digest}: not found")
        for at in range(0, min(request.size, len(self.blob)), 1000):
            yield TYPES["ReadContentResponse"](offset=at, data=self.blob[at : min(at + 1000, request.size)])

    async def remove_image(self, request: Any) -> Any:
        name = request.image.image
        self.asked.append(f"remove {name}")
        id = self.held.get(name)
        self.held = {each: other for each, other in self.held.items() if other != id}
        return TYPES["RemoveImageResponse"]()


def _handler(method: str, answer: Callable[[Any], Awaitable[Any]]) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await answer(request)
        except LookupError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=TYPES[f"{method}Request"].FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


@asynccontextmanager
async def served(runtime: FakeRuntime, socket: Path) -> AsyncIterator[None]:
    """On this socket, until the block ends."""
    services = {
        "RuntimeService": {"Version": runtime.version},
        "ImageService": {
            "ListImages": runtime.list_images,
            "ImageStatus": runtime.image_status,
            "PullImage": runtime.pull_image,
            "RemoveImage": runtime.remove_image,
        },
    }
    server = grpc.aio.server()
    for service, methods in services.items():
        handlers = {method: _handler(method, answer) for method, answer in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"{PACKAGE}.{service}", handlers),))
    reader = grpc.unary_stream_rpc_method_handler(
        runtime.read,
        request_deserializer=TYPES["ReadContentRequest"].FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(CONTENT, {"Read": reader}),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def export(url: str, body: bytes) -> int:
    """As an exporter sends it; the answer's status."""
    headers = {"Content-Type": "application/x-protobuf"}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


def sample_at(name: str, image: str, began: float) -> bytes:
    """An export request with the spans of the real pull of that name, as if of this image and begun then."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(request_of(name))
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    (root,) = [span for span in spans if span.name == "runtime.v1.ImageService/PullImage"]
    own = next(each.value.string_value for span in spans for each in span.attributes if each.key == "image.ref")
    later = round(began * 1e9) - root.start_time_unix_nano
    trace, before = round(began * 1e9).to_bytes(16, "big"), root.trace_id
    for span in spans:
        span.trace_id = trace if span.trace_id == before else span.trace_id
        span.start_time_unix_nano += later
        span.end_time_unix_nano += later
        for event in span.events:
            event.time_unix_nano += later
        for each in span.attributes:
            if each.value.string_value == own:
                each.value.string_value = image
    body: bytes = request.SerializeToString()
    return body


async def no_sleep(_: float) -> None:
    """The clock of who waits for spans: they came before the answer, or never come."""
    await asyncio.sleep(0)
