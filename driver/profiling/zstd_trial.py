"""What zstd in place of gzip would save in decompressing: tried here, on the image's own bytes.

zlib and zstd stand for what the runtime has of either. Needs the extra ``images``.
"""

import time
import zlib
from collections.abc import Callable
from importlib.util import find_spec

import msgspec

SAMPLE_BYTES = 8_000_000
_LEVEL = 3  # zstd's own default
_TIMES = 3  # of which the shortest counts: another process may come in between
_GZIP = 31  # zlib: a gzip header


class ZstdTrial(msgspec.Struct, frozen=True):
    """Of the beginning of one layer."""

    gzip_bytes: int  # that were unpacked
    zstd_bytes: int  # that the same unpacked bytes are in zstd
    gzip_seconds: float  # of a processor, to unpack them
    zstd_seconds: float


def zstd_trial(gzip: bytes, clock: Callable[[], float] = time.process_time) -> ZstdTrial | None:
    """Of the beginning of a gzip layer; None where it is none, or the library is not installed."""
    if find_spec("zstandard") is None:
        return None
    import zstandard

    try:
        unpacked = zlib.decompressobj(_GZIP).decompress(gzip)
    except zlib.error:
        return None
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(unpacked)
    return ZstdTrial(
        gzip_bytes=len(gzip),
        zstd_bytes=len(packed),
        gzip_seconds=_shortest(lambda: zlib.decompressobj(_GZIP).decompress(gzip), clock),
        zstd_seconds=_shortest(lambda: zstandard.ZstdDecompressor().decompress(packed), clock),
    )


def _shortest(work: Callable[[], object], clock: Callable[[], float]) -> float:
    seconds = []
    for _ in range(_TIMES):
        began = clock()
        work()
        seconds.append(clock() - began)
    return min(seconds)
