"""How a record of the spool stands on disk: a frame ``[length][checksum][payload]``, and what the payload is.

length: of the payload in bytes; checksum: CRC-32 of length and payload; both unsigned 32 bits, little-endian.
payload: an Entry as MessagePack. The checksum covers the length, so that a run of zeros is no frame.
"""

import struct
from collections.abc import Iterator
from zlib import crc32

import msgspec

from pullstudy.pulls.batch import Batch

LAYOUT = 1
_HEAD = struct.Struct("<II")
HEAD_BYTES = _HEAD.size


class Checkpoint(msgspec.Struct, frozen=True):
    """How far the watch was read, and of which cluster: a version means nothing in another one."""

    version: str = ""
    cluster_uid: str = ""  # the uid of the namespace that tells the cluster
    namespace: str = ""  # the only one that was watched; empty where it was all of them


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in one go, and the checkpoint that it brings: the two can never part."""

    number: int  # counts up from 1 over all segments, without end
    checkpoint: Checkpoint
    batch: Batch = Batch()
    layout: int = msgspec.field(default=LAYOUT)


class _Layout(msgspec.Struct):
    layout: int = LAYOUT


class LayoutError(Exception):
    """The frame is whole, and was written by another version."""

    def __init__(self, layout: int) -> None:
        super().__init__(f"layout {layout}")
        self.layout = layout


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
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
        try:
            entry = _decode(payload)
        except msgspec.DecodeError:
            layout = _decode_layout(payload).layout
            raise LayoutError(layout) from None
        if entry.layout != LAYOUT:
            raise LayoutError(entry.layout)
        offset += HEAD_BYTES + len(payload)
        yield entry, offset


def _payload(view: memoryview, offset: int) -> memoryview | None:
    start = offset + HEAD_BYTES
    if start > len(view):
        return None
    length, checksum = _HEAD.unpack_from(view, offset)
    payload = view[start : start + length]
    if len(payload) < length or crc32(payload, crc32(view[offset : offset + 4])) != checksum:
        return None
    return payload
