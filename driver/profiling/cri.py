"""The Container Runtime Interface, as a kubelet speaks it: those calls and fields that pulls need.

Source: k8s.io/cri-api v0.34, ``pkg/apis/runtime/v1/api.proto``, and for contents containerd/api v1.12,
``services/content/v1/content.proto``. Needs the extra ``otlp``.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from driver.errors import DriverError
from pullstudy.extras import require

PACKAGE = "runtime.v1"
CONTENT = "containerd.services.content.v1.Content"  # containerd's own, on the same socket
NAMESPACE = (("containerd-namespace", "k8s.io"),)  # where CRI keeps its images
ANSWER_SECONDS = 60.0  # of every call but a pull, which takes what it takes
_CONNECT_SECONDS = 5.0
_STRING, _MESSAGE = 9, 11  # FieldDescriptorProto.Type
_UINT64, _INT64, _BYTES = 4, 3, 12
_ONE, _MANY = 1, 3  # FieldDescriptorProto.Label

_TYPES = {"": _STRING, "uint64": _UINT64, "int64": _INT64, "bytes": _BYTES}

_MESSAGES: Mapping[str, Mapping[str, tuple[int, int, str]]] = {
    "VersionRequest": {"version": (1, _ONE, "")},
    "VersionResponse": {"runtime_name": (2, _ONE, ""), "runtime_version": (3, _ONE, "")},
    "ImageSpec": {"image": (1, _ONE, "")},
    "AuthConfig": {"username": (1, _ONE, ""), "password": (2, _ONE, ""), "auth": (3, _ONE, "")},
    "Image": {
        "id": (1, _ONE, ""),
        "repo_tags": (2, _MANY, ""),
        "repo_digests": (3, _MANY, ""),
        "size": (4, _ONE, "uint64"),
    },
    "ListImagesRequest": {},
    "ListImagesResponse": {"images": (1, _MANY, "Image")},
    "ImageStatusRequest": {"image": (1, _ONE, "ImageSpec")},
    "ImageStatusResponse": {"image": (1, _ONE, "Image")},
    "PullImageRequest": {"image": (1, _ONE, "ImageSpec"), "auth": (2, _ONE, "AuthConfig")},
    "PullImageResponse": {"image_ref": (1, _ONE, "")},
    "RemoveImageRequest": {"image": (1, _ONE, "ImageSpec")},
    "RemoveImageResponse": {},
    "ReadContentRequest": {"digest": (1, _ONE, ""), "offset": (2, _ONE, "int64"), "size": (3, _ONE, "int64")},
    "ReadContentResponse": {"offset": (1, _ONE, "int64"), "data": (2, _ONE, "bytes")},
}
"""Of each message its fields: number, label and what it holds (a text, where it says nothing)."""


class RuntimeRefusedError(DriverError):
    """The runtime could not be asked, or refused. ``str()`` is one line that says what to do."""


class Cri:
    """A runtime. Raises RuntimeRefusedError."""

    def __init__(self, channel: Any, socket: Path) -> None:
        self._channel = channel
        self._socket = socket
        self._types = message_types()

    async def version(self) -> str:
        """Of the runtime, with its name."""
        told = await self._call("RuntimeService", "Version", {"version": "v1"}, _CONNECT_SECONDS)
        return f"{told.runtime_name} {told.runtime_version}"

    async def held_as(self, image: str) -> str | None:
        """The id under which the runtime has the image; None where it has none of that name."""
        told = await self._call("ImageService", "ImageStatus", {"image": {"image": image}}, ANSWER_SECONDS)
        return told.image.id or None

    async def names_by_id(self) -> dict[str, list[str]]:
        """Of each image that the runtime has: its id, and the names that it is known by."""
        told = await self._call("ImageService", "ListImages", {}, ANSWER_SECONDS)
        return {image.id: [*image.repo_tags, *image.repo_digests] for image in told.images}

    async def pull(self, image: str, auth: str | None) -> None:
        """Return when it is there. ``auth`` is a login as Docker keeps it: base64 of user:password."""
        asked: dict[str, Any] = {"image": {"image": image}}
        if auth is not None:
            asked["auth"] = {"auth": auth}
        await self._call("ImageService", "PullImage", asked, None)

    async def remove(self, image: str) -> None:
        """The image, under ALL of its names, and what no other image has of it. One that is not there is no error."""
        await self._call("ImageService", "RemoveImage", {"image": {"image": image}}, ANSWER_SECONDS)

    async def content(self, digest: str, most_bytes: int) -> bytes:
        """The beginning of a blob of an image that is there; nothing, where the runtime does not show it."""
        import grpc

        read = self._channel.unary_stream(
            f"/{CONTENT}/Read",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self._types["ReadContentResponse"].FromString,
        )
        asked = self._types["ReadContentRequest"](digest=digest, size=most_bytes)
        try:
            parts = [part.data async for part in read(asked, metadata=NAMESPACE, timeout=ANSWER_SECONDS)]
        except grpc.aio.AioRpcError as error:
            # It is no containerd, or it is told to keep no packed layers (discard_unpacked_layers).
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED):
                return b""
            raise self._refused("Read", error) from error
        return b"".join(parts)

    async def _call(self, service: str, method: str, fields: Mapping[str, Any], seconds: float | None) -> Any:
        import grpc

        answer = self._types[f"{method}Response"]
        call = self._channel.unary_unary(
            f"/{PACKAGE}.{service}/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        try:
            return await call(self._types[f"{method}Request"](**fields), timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise self._refused(method, error) from error

    def _refused(self, method: str, error: Any) -> RuntimeRefusedError:
        import grpc

        why = " ".join(str(error.details()).split())
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return RuntimeRefusedError(f"{self._socket}: no runtime answers: {why}; --containerd names its socket")
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return RuntimeRefusedError(f"{self._socket}: it speaks no CRI v1: {why}; containerd 1.6 and later do")
        return RuntimeRefusedError(f"{method}: {why}")


@asynccontextmanager
async def runtime(socket: Path) -> AsyncIterator[Cri]:
    """At this socket, an absolute path, until the block ends. Raises RuntimeRefusedError, MissingExtraError."""
    require("grpc", "otlp")
    import grpc

    _check_socket(socket)
    # The authority would else be the path, which HTTP/2 servers refuse as a host.
    options = (("grpc.default_authority", "localhost"),)
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        yield Cri(channel, socket)


def _check_socket(socket: Path) -> None:
    if not os.access(socket, os.W_OK):
        problem = "may not be written to: root may" if socket.exists() else "is not there"
        raise RuntimeRefusedError(f"{socket} {problem}; --containerd names the socket of this machine's containerd")


def message_types() -> dict[str, Any]:
    """The classes of the messages, by name. Raises MissingExtraError."""
    require("opentelemetry.proto", "otlp")  # which brings protobuf
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="pullstudy/cri.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, label, holds) in fields.items():
            made = message.field.add(name=field, number=number, label=label)
            made.type = _TYPES.get(holds, _MESSAGE)
            if made.type == _MESSAGE:
                made.type_name = f".{PACKAGE}.{holds}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _MESSAGES
    }
