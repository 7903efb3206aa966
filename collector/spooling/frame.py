"""How a record of the spool stands on disk: a frame ``[length][checksum][payload]``, and what the payload is.

length: of the payload in bytes; checksum: CRC-32 of length and payload; both unsigned 32 bits, little-endian.
payload: an Entry as MessagePack. The checksum covers the length, so that a run of zeros is no frame.

Layout 1 had one source, the event watch, and its checkpoint in each entry. It is read still: its checkpoint is the
position of source ``events``, whose encoding it has.
"""

import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import msgspec

from collector.spooling.stored_batch import BATCHES
from pullstudy.pulls.batch import Batch

LAYOUT = 2
_LAYOUT_1_SOURCE = "events"
_HEAD = struct.Struct("<II")
HEAD_BYTES = _HEAD.size


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from a source in one go, and how far the source is read with it: the two can never part."""

    number: int  # counts up from 1 over all segments, without end
    source: str  # its name; empty in a segment's first entry, which is of no source
    position: bytes | None = None  # the source's own encoding; None: it stays where it was
    positions: dict[str, bytes] = {}  # of all sources; in a segment's first entry only
    batch: Batch = msgspec.field(default_factory=Batch)
    replaces: int = 0  # it stands for so many entries before it too, which are lost: its records say so


# As they stand on disk. The batch's type is made from the table of kinds.
_STORED_ENTRY: Any = msgspec.defstruct(
    "StoredEntry",
    [
        ("number", int),
        ("source", str),
        ("position", bytes | None),
        ("positions", dict[str, bytes]),
        ("batch", BATCHES.stored),
        ("layout", int),
        ("replaces", int, 0),
    ],
)
_ENTRY_OF_LAYOUT_1: Any = msgspec.defstruct(
    "EntryOfLayout1", [("number", int), ("checkpoint", msgspec.Raw), ("batch", BATCHES.stored)]
)


class _Layout(msgspec.Struct):
    layout: int


class LayoutError(Exception):
    """The frame is whole, and was written by another version. ``str()`` says what it has."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_STORED_ENTRY).decode
_decode_layout_1 = msgspec.msgpack.Decoder(_ENTRY_OF_LAYOUT_1).decode
_decode_layout = msgspec.msgpack.Decoder(_Layout).decode


def encode_frame(entry: Entry) -> bytes:
    # salvage finds a payload by how it begins and ends: the number is first, the layout last.
    payload = _encode(
        {
            "number": entry.number,
            "source": entry.source,
            "position": entry.position,
            "positions": entry.positions,
            "batch": BATCHES.to_map(entry.batch),
            **({"replaces": entry.replaces} if entry.replaces else {}),
            "layout": LAYOUT,
        }
    )
    length = len(payload).to_bytes(4, "little")
    return b"".join((length, crc32(payload, crc32(length)).to_bytes(4, "little"), payload))


def read_frames(data: bytes | memoryview, offset: int = 0) -> Iterator[tuple[Entry, int]]:
    """The entries from the offset on, each with the offset behind it, up to the first frame that is not whole.

    Raises LayoutError.
    """
    view = memoryview(data)
    while (found := read_frame(view, offset)) is not None:
        yield found
        offset = found[1]


def read_frame(view: memoryview, offset: int) -> tuple[Entry, int] | None:
    """The entry of the frame at the offset, and the offset behind it; None where none is whole. Raises LayoutError."""
    payload = _payload(view, offset)
    if payload is None:
        return None
    try:
        return _read_entry(payload), offset + HEAD_BYTES + len(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # its checksum holds, and it is nothing of ours
        return None


def frame_end(view: memoryview, offset: int) -> int:
    """Where the frame at the offset ends by its own length, which may be damaged."""
    return offset + HEAD_BYTES + int.from_bytes(view[offset : offset + 4], "little")


def _read_entry(payload: memoryview) -> Entry:
    try:
        stored = _decode(payload)
    except msgspec.DecodeError as error:
        return _read_older(payload, error)
    if stored.layout != LAYOUT:
        raise _of_layout(stored.layout)
    return Entry(
        number=stored.number,
        source=stored.source,
        position=stored.position,
        positions=stored.positions,
        batch=BATCHES.to_batch(stored.batch),
        replaces=stored.replaces,
    )


def _read_older(payload: memoryview, error: msgspec.DecodeError) -> Entry:
    layout = _decode_layout(payload).layout
    if layout == LAYOUT:
        raise LayoutError(f"has records that this version does not know ({error})") from error
    if layout != 1:
        raise _of_layout(layout)
    old = _decode_layout_1(payload)
    batch = BATCHES.to_batch(old.batch)
    return Entry(number=old.number, source=_LAYOUT_1_SOURCE, position=bytes(old.checkpoint), batch=batch)


def _of_layout(layout: int) -> LayoutError:
    return LayoutError(f"is of layout {layout}, this version reads 1 and {LAYOUT}")


def _payload(view: memoryview, offset: int) -> memoryview | None:
    start = offset + HEAD_BYTES
    if start > len(view):
        return None
    length, checksum = _HEAD.unpack_from(view, offset)
    payload = view[start : start + length]
    if len(payload) < length or crc32(payload, crc32(view[offset : offset + 4])) != checksum:
        return None
    return payload
