"""A line of a watch, its object decoded by the caller's kind where the type says that it is one."""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from pullstudy.kube.watch_loop import HasMetadata
from pullstudy.pulls.pod import Metadata

T = TypeVar("T", bound=HasMetadata)


class Bookmark(msgspec.Struct, frozen=True, gc=False):
    """What stands in the place of an object: a bookmark, or an ERROR's Status, of which nothing is read here."""

    metadata: Metadata = Metadata()


class ObjectLine(msgspec.Struct, Generic[T], frozen=True):
    """``found`` is the object of ADDED, MODIFIED and DELETED; None on every other line."""

    type: str
    object: T | Bookmark
    found: T | None = None


class _Line(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_bookmark = msgspec.json.Decoder(Bookmark).decode


def decode_object_line(raw: bytes, decode: Callable[[bytes | msgspec.Raw], T]) -> ObjectLine[T]:
    """Raises what ``status.UNREADABLE`` has."""
    line = _decode_line(raw)
    if line.type in ("ADDED", "MODIFIED", "DELETED"):
        found = decode(line.object)
        return ObjectLine(line.type, found, found)
    return ObjectLine(line.type, _decode_bookmark(line.object))
