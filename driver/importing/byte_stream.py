"""Bytes that are read once, from the front, and unpacked: gzip, bzip2, xz. Memory and expansion are bounded."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from typing import Protocol

# Deflate's own limit is 1,032; event logs pack to a tenth or a fiftieth.
_MOST_EXPANSION = 500
_EXPANSION_LOOKED_AT = 4 << 20  # unpacked bytes; a small file of blanks is no harm
_READ_BYTES = 1 << 18
_PACKED_BYTES = 1 << 14
_XZ_BYTES = 100 << 20  # of memory: xz -9 takes 65 MiB
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class UnreadableFileError(Exception):
    """A file that cannot be read on; what came before is good. ``str()`` is one line."""


class Source(Protocol):
    """Where bytes come from: a file, or a member of an archive."""

    def read1(self, size: int, /) -> bytes: ...


class ByteStream:
    """Bytes of which the beginning can be looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._head = b""
        self._damage: UnreadableFileError | None = None  # behind the head

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer only at the end and before damage, which the read that comes to it raises."""
        try:
            while len(self._head) < size and (block := self._read(size - len(self._head))):
                self._head += block
        except UnreadableFileError as error:
            self._damage = error
        return self._head[:size]

    def read1(self, size: int) -> bytes:
        """Some bytes, at most ``size``; none at the end. Raises UnreadableFileError."""
        if not self._head:
            return self._read(size)
        block, self._head = self._head[:size], self._head[size:]
        return block

    def read(self, size: int) -> bytes:
        """All of ``size`` bytes, fewer only at the end. Raises UnreadableFileError."""
        parts: list[bytes] = []
        while size > 0 and (block := self.read1(min(size, _READ_BYTES))):
            parts.append(block)
            size -= len(block)
        return b"".join(parts)

    def skip(self, size: int) -> bool:
        """Whether there were so many bytes. Raises UnreadableFileError."""
        while size > 0:
            block = self.read1(min(size, _READ_BYTES))
            if not block:
                return False
            size -= len(block)
        return True

    def _read(self, size: int) -> bytes:
        if self._damage is not None:
            raise self._damage
        try:
            return self._source.read1(size)
        except _DAMAGE as error:
            raise UnreadableFileError(str(error) or type(error).__name__) from error


class _Decompressor(Protocol):
    """As bz2 and lzma have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class ExpansionBound:
    """How much may come out of so many packed bytes."""

    def __init__(self, packed_bytes: int = 0) -> None:
        self.packed_bytes = packed_bytes
        self._unpacked_bytes = 0

    def came(self, size: int) -> None:
        """Raises UnreadableFileError."""
        self._unpacked_bytes += size
        if self._unpacked_bytes > max(_EXPANSION_LOOKED_AT, self.packed_bytes * _MOST_EXPANSION):
            raise UnreadableFileError(
                f"{self.packed_bytes >> 10} KiB unpack to over {self._unpacked_bytes >> 20} MiB: no event log's do"
            )


class _Counted:
    """Packed bytes, counted."""

    def __init__(self, stream: ByteStream, bound: ExpansionBound) -> None:
        self._stream = stream
        self._bound = bound

    def read(self, size: int = -1) -> bytes:
        """Some of them, as gzip asks."""
        block = self._stream.read1(size if size >= 0 else _READ_BYTES)
        self._bound.packed_bytes += len(block)
        return block


class _Bounded:
    """Unpacked bytes, as long as they are in a proportion to the packed ones."""

    def __init__(self, source: Source, bound: ExpansionBound) -> None:
        self._source = source
        self._bound = bound

    def read1(self, size: int) -> bytes:
        """Raises UnreadableFileError, and what the source raises."""
        block = self._source.read1(size)
        self._bound.came(len(block))
        return block


class _Decompressed:
    """What bzip2 or xz packed, in several streams one after the other too."""

    def __init__(self, packed: _Counted, make: Callable[[], _Decompressor]) -> None:
        self._packed = packed
        self._make = make
        self._decompressor = make()
        self._waiting = b""  # packed bytes behind the end of a stream

    def read1(self, size: int) -> bytes:
        """Raises EOFError where it is cut off, and what the decompressor raises."""
        while not self._decompressor.eof or self._next_begins():
            block = self._decompressor.decompress(self._input(), size)
            if block:
                return block
        return b""

    def _input(self) -> bytes:
        if self._waiting:
            data, self._waiting = self._waiting, b""
            return data
        if not self._decompressor.needs_input:
            return b""
        data = self._packed.read(_PACKED_BYTES)
        if not data:
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")
        return data

    def _next_begins(self) -> bool:
        rest = self._decompressor.unused_data.lstrip(b"\0")  # xz allows zeros between streams
        while not rest and (data := self._packed.read(_PACKED_BYTES)):
            rest = data.lstrip(b"\0")
        if rest:
            self._decompressor, self._waiting = self._make(), rest
        return bool(rest)


def _gunzip(packed: _Counted) -> Source:
    return gzip.GzipFile(fileobj=packed, mode="rb")  # type: ignore[call-overload, no-any-return]


def _bunzip2(packed: _Counted) -> Source:
    return _Decompressed(packed, bz2.BZ2Decompressor)


def _unxz(packed: _Counted) -> Source:
    return _Decompressed(packed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_BYTES))


_UNPACKERS: dict[bytes, Callable[[_Counted], Source]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": _bunzip2,
    b"\xfd7zXZ\0": _unxz,
}
_LONGEST_MAGIC = 6


def unpacked(stream: ByteStream) -> ByteStream:
    """The stream itself, or where it is packed what is packed in it."""
    head = stream.peek(_LONGEST_MAGIC)
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if head.startswith(magic)), None)
    if unpack is None:
        return stream
    bound = ExpansionBound()
    return ByteStream(_Bounded(unpack(_Counted(stream, bound)), bound))


def bounded(source: Source, bound: ExpansionBound) -> ByteStream:
    """Of a source that unpacks by itself."""
    return ByteStream(_Bounded(source, bound))
