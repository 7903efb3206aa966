"""What compresses a layer's tar, as a stream; ``flushed`` gives out all that was put in, so that it can be counted."""

import zlib
from collections.abc import Callable
from typing import Protocol

from driver.images.order import Algorithm, Compression
from pullstudy.extras import require

GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
PLAIN_TYPE = "application/vnd.oci.image.layer.v1.tar"
_GZIP_WINDOW = 31  # of 32 KiB, in gzip's frame, whose header zlib leaves without time and name


class Packing(Protocol):
    """One layer's."""

    def pack(self, data: bytes) -> bytes:
        """What comes out of it so far."""

    def flushed(self) -> bytes:
        """The rest of what was put in; more may follow."""

    def end(self) -> bytes:
        """The last of it."""


class _Gzip:
    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)

    def pack(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def flushed(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    def __init__(self, level: int) -> None:
        require("zstandard", "images")
        import zstandard

        self._stream = zstandard.ZstdCompressor(level=level).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def pack(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def flushed(self) -> bytes:
        return self._stream.flush(self._block)

    def end(self) -> bytes:
        return self._stream.flush()


class _Plain:
    def __init__(self, level: int) -> None:
        """There is none."""

    def pack(self, data: bytes) -> bytes:
        return data

    def flushed(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""


_PACKINGS: dict[Algorithm, tuple[Callable[[int], Packing], str]] = {
    Algorithm.GZIP: (_Gzip, GZIP_TYPE),
    Algorithm.ZSTD: (_Zstd, ZSTD_TYPE),
    Algorithm.NONE: (_Plain, PLAIN_TYPE),
}


def packing_of(compression: Compression) -> Packing:
    """A new one. Raises MissingExtraError."""
    return _PACKINGS[compression.algorithm][0](compression.level)


def media_type_of(compression: Compression) -> str:
    """Source: OCI image specification, layer.md."""
    return _PACKINGS[compression.algorithm][1]


def library_version(compression: Compression) -> str:
    """Of what compresses: another one may give other bytes."""
    if compression.algorithm is Algorithm.NONE:
        return ""
    if compression.algorithm is Algorithm.GZIP:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    zstandard = require("zstandard", "images")
    return f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"
