"""A layer as a tar of files, compressed and hashed while it is written: nothing of it is ever held whole.

How much noise the files get is decided again and again by how much came out so far, so that the layer ends with the
compressed bytes asked for, whatever the compressor.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from driver.images.content import Mixture
from driver.images.order import Compression, LayerOrder
from driver.images.packing import media_type_of, packing_of

_BLOCK = tarfile.BLOCKSIZE
_FILE_TIME = 1_700_000_000  # of every file, so that equal bytes make an equal layer
_STEPS = 64  # of a layer, after each of which its mixture is decided again
_LEAST_STEP, _MOST_STEP = 4 << 10, 1 << 20
_IN_A_FOLDER = 256


class WrittenLayer(msgspec.Struct, frozen=True):
    """As a manifest lists it, with the digest of its tar, which the config lists."""

    media_type: str
    digest: str
    size: int
    diff_id: str


class Program(msgspec.Struct, frozen=True):
    """What the image runs, in its first layer."""

    name: str  # under /bin
    content: bytes


def write_layer(file: BinaryIO, order: LayerOrder, path: str, key: str, program: Program | None = None) -> WrittenLayer:
    """``path`` is where its files lie, ``key`` what their bytes follow from. Raises OSError, MissingExtraError."""
    out = _Packed(file, order.compression)
    if program is not None:
        out.write_file(f"bin/{program.name}", len(program.content), iter((program.content,)))
    own = order.unpacked_bytes - (len(program.content) if program else 0)
    mixing = _Mixing(out, Mixture(key), own, order)
    for number in range(order.files):
        size = own * (number + 1) // order.files - own * number // order.files
        out.write_file(f"{path}/{number // _IN_A_FOLDER}/{number}", size, mixing.pieces(size))
    return out.close(media_type_of(order.compression))


class _Packed:
    """The file that the compressed tar is written to, with what is known of it so far."""

    def __init__(self, file: BinaryIO, compression: Compression) -> None:
        self._file = file
        self._packing = packing_of(compression)
        self._tar, self._blob = hashlib.sha256(), hashlib.sha256()
        self.unpacked = 0
        self.packed = 0

    def write_file(self, name: str, size: int, pieces: Iterator[bytes]) -> None:
        """A file of the tar, from pieces that have ``size`` bytes together."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, _FILE_TIME, 0o755
        self._write(info.tobuf(tarfile.GNU_FORMAT))  # ustar's files end at 8 GiB
        for piece in pieces:
            self._write(piece)
        self._write(bytes(-size % _BLOCK))

    def flush(self) -> None:
        """So that ``packed`` is of all that was written."""
        self._put(self._packing.flushed())

    def close(self, media_type: str) -> WrittenLayer:
        """Two empty blocks end a tar. Source: POSIX pax."""
        self._write(bytes(2 * _BLOCK))
        self._put(self._packing.end())
        digest, diff_id = (f"sha256:{each.hexdigest()}" for each in (self._blob, self._tar))
        return WrittenLayer(media_type, digest, self.packed, diff_id)

    def _write(self, data: bytes) -> None:
        self._tar.update(data)
        self.unpacked += len(data)
        self._put(self._packing.pack(data))

    def _put(self, data: bytes) -> None:
        self._blob.update(data)
        self.packed += len(data)
        self._file.write(data)


class _Mixing:
    """Decides how much of the files is noise."""

    def __init__(self, out: _Packed, mixture: Mixture, size: int, order: LayerOrder) -> None:
        out.flush()
        self._out = out
        self._mixture = mixture
        self._left = size
        self._packed = order.packed_bytes if order.steered else None
        self._begun = out.packed, out.unpacked  # a program that stands before
        self._share = self._share_of((order.packed_bytes or 0) - (out.packed if order.steered else 0))
        self._step = min(max(size // _STEPS, _LEAST_STEP), _MOST_STEP)
        self._since = 0  # bytes of files since the share was decided

    def pieces(self, size: int) -> Iterator[bytes]:
        """Of the next file."""
        while size > 0:
            if self._since >= self._step:
                self._decide()
            piece = min(size, self._step - self._since)
            yield self._mixture.take(piece, self._share)
            size -= piece
            self._left -= piece
            self._since += piece

    def _decide(self) -> None:
        """What remains to come out, less what headers and the like will take as they did so far, is noise."""
        self._since = 0
        if self._packed is None:
            return
        self._out.flush()
        packed, unpacked = self._begun
        overhead = self._out.packed - packed - self._mixture.noise_bytes
        expected = overhead * self._left / (self._out.unpacked - unpacked)
        self._share = self._share_of(self._packed - self._out.packed - expected)

    def _share_of(self, noise: float) -> float:
        return min(max(noise / max(1, self._left), 0.0), 1.0)


def unpacked_for(tar_bytes: int, files: int) -> int:
    """How many bytes of files make a tar so long, down to a block: a byte more in a file is a block more."""
    blocks = tar_bytes // _BLOCK - 2 - files
    if files == 0 or blocks <= 0:
        return 0
    each, more = divmod(blocks, files)
    return each * _BLOCK * files + more
