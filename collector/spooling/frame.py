"""How a record of the spool stands on disk: a frame ``[length][checksum][payload]``, and what the payload is.

length: of the payload in bytes; checksum: CRC-32 of length and payload; both unsigned 32 bits, little-endian.
payload: an Entry as MessagePack. The checksum covers the length, so that a run of zeros is no frame.

Layout 1 had one source, the event watch, and its checkpoint in each entry. It is read still: its checkpoint is the
position of source ``events``, whose encoding it has.
"""

import struct
from collections.abc import Iterator
from zlib import crc32

import msgspec

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
    batch: Batch = Batch()
    layout: int = LAYOUT


class _EntryOfLayout1(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    checkpoint: msgspec.Raw
    batch: Batch = Batch()


class _Layout(msgspec.Struct):
    layout: int


class LayoutError(Exception):
    """The frame is whole, and was written by another version."""

    def __init__(self, layout: int) -> None:
        super().__init__(f"layout {layout}")
        self.layout = layout


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_decode_layout_1 = msgspec.msgpack.Decoder(_EntryOfLayout1).decode
_decode_layout = msgspec.msgpack.Decoder(_Layout).decode


def encode_frame(entry: Entry) -> bytes:
    payload = _encode(entry)
    length = len(payload).to_bytes(4, "little")
    return b"".join((length, crc32(payload, crc32(length)).to_bytes(4, "little"), payload))


def read_frames(data: bytes | memoryview, offset: int = 0) -> Iterator[tuple[Entry, int]]:
    """The entries from the offset on, each with the offset behind it, up to the first frame that is not whole.

    Raises LayoutError.
    """
    view = memoryview(data)
    while (payload := _payload(view, offset)) is not None:
        offset += HEAD_BYTES + len(payload)
        yield _read_entry(payload), offset


def _read_entry(payload: memoryview) -> Entry:
    try:
        entry = _decode(payload)
    except msgspec.DecodeError:
        return _read_older(payload)
    if entry.layout != LAYOUT:
        raise LayoutError(entry.layout)
    return entry


def _read_older(payload: memoryview) -> Entry:
    layout = _decode_layout(payload).layout
    if layout != 1:
        raise LayoutError(layout)
    old = _decode_layout_1(payload)
    return Entry(number=old.number, source=_LAYOUT_1_SOURCE, position=bytes(old.checkpoint), batch=old.batch)


def _payload(view: memoryview, offset: int) -> memoryview | None:
    start = offset + HEAD_BYTES
    if start > len(view):
        return None
    length, checksum = _HEAD.unpack_from(view, offset)
    payload = view[start : start + length]
    if len(payload) < length or crc32(payload, crc32(view[offset : offset + 4])) != checksum:
        return None
    return payload
