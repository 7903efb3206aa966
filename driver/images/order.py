"""What an image shall be: each layer's bytes, how they are compressed and how far, and in how many files they lie."""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import product
from typing import NamedTuple

import msgspec

from driver.errors import UsageError
from pullstudy.pulls.image import study_shape
from pullstudy.pulls.image_size import MOST_BYTES, MOST_LAYERS

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([a-z]*)", re.IGNORECASE)
_FORMS = "write 1176249324, 200MB or 1.5GiB"


class Algorithm(StrEnum):
    """How a layer's tar is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    NONE = "none"


_LEVELS = {Algorithm.GZIP: range(1, 10), Algorithm.ZSTD: range(1, 20), Algorithm.NONE: range(1)}
_USUAL_LEVELS = {Algorithm.GZIP: 6, Algorithm.ZSTD: 3, Algorithm.NONE: 0}


class Compression(NamedTuple):
    """The algorithm and its level, 0 for none."""

    algorithm: Algorithm
    level: int

    def __str__(self) -> str:
        return f"{self.algorithm}-{self.level}" if self.level else str(self.algorithm)


def usual(algorithm: Algorithm) -> Compression:
    """At the level that builders of images take unasked."""
    return Compression(algorithm, _USUAL_LEVELS[algorithm])


class LayerOrder(msgspec.Struct, frozen=True):
    """``unpacked_bytes`` are those of its files; ``packed_bytes`` None: of zeros alone, whatever these become."""

    compression: Compression
    unpacked_bytes: int
    packed_bytes: int | None
    files: int

    @property
    def steered(self) -> bool:
        """Whether its bytes are made so that they are compressed to as many as were asked for."""
        return self.packed_bytes is not None and self.compression.algorithm is not Algorithm.NONE


class ImageOrder(msgspec.Struct, frozen=True):
    """``name`` is a tag, perhaps behind a path and a colon. Layers differ where ``name``'s tag or ``seed`` does."""

    name: str
    layers: tuple[LayerOrder, ...]
    seed: str = "0"
    architecture: str = "amd64"

    @property
    def tag(self) -> str:
        return self.name.rpartition(":")[2]


class Matrix(msgspec.Struct, frozen=True):
    """Every image of ``shapes`` (layers and unpacked bytes) in every compression, ratio and number of files."""

    shapes: tuple[tuple[int, int], ...]
    compressions: tuple[Compression, ...] = (Compression(Algorithm.GZIP, 6),)
    ratios: tuple[float, ...] = (0.4,)  # packed bytes to unpacked ones
    files: tuple[int, ...] = (16,)  # in a layer
    seed: str = "0"
    architecture: str = "amd64"

    def orders(self) -> Iterator[ImageOrder]:
        """Where there are several of a kind, the image's name has which. Raises UsageError."""
        for compression, ratio, files in product(self.compressions, self.ratios, self.files):
            path = "/".join(self._path(compression, ratio, files))
            for layers, size in self.shapes:
                tag = f"{layers}-layers-size-{size}-bytes"
                yield ImageOrder(
                    name=f"{path}:{tag}" if path else tag,
                    layers=tuple(_layer(compression, each, ratio, files) for each in _split(size, layers)),
                    seed=self.seed,
                    architecture=self.architecture,
                )

    def _path(self, compression: Compression, ratio: float, files: int) -> Iterator[str]:
        if len(self.compressions) > 1:
            yield str(compression)
        if len(self.ratios) > 1:
            yield f"ratio-{ratio:g}"
        if len(self.files) > 1:
            yield f"files-{files}"


def _layer(compression: Compression, size: int, ratio: float, files: int) -> LayerOrder:
    if size < files:
        raise UsageError(f"--files {files}: a layer has {size} bytes; give fewer files, fewer layers or more bytes")
    return LayerOrder(compression, size, round(size * ratio) if ratio else None, files)


def _split(size: int, parts: int) -> list[int]:
    """As evenly as whole bytes can be."""
    return [size * (place + 1) // parts - size * place // parts for place in range(parts)]


def layers_of(text: str) -> list[int]:
    """Of ``9,125``. Raises UsageError."""
    found = [int(each) if each.strip().isdecimal() else 0 for each in text.split(",")]
    if min(found) < 1 or max(found) > MOST_LAYERS:
        raise UsageError(f"--layers {text}: write numbers from 1 to {MOST_LAYERS:,}, as 9,125")
    return found


def bytes_of(text: str) -> list[int]:
    """Of ``200MB,1.5GiB``. Raises UsageError."""
    return [_bytes(each.strip()) for each in text.split(",")]


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None or not 1 <= (size := round(float(match[1]) * unit)) <= MOST_BYTES:
        raise UsageError(f"--bytes {text}: {_FORMS}")
    return int(match[1]) if unit == 1 and match[1].isdecimal() else size


def compressions_of(text: str) -> list[Compression]:
    """Of ``gzip:6,zstd:3,none``; the level may be left out. Raises UsageError."""
    return [_compression(each.strip()) for each in text.split(",")]


def _compression(text: str) -> Compression:
    name, colon, level = text.partition(":")
    if name in tuple(Algorithm):
        algorithm = Algorithm(name)
        if not colon:
            return usual(algorithm)
        if level.isdecimal() and algorithm is not Algorithm.NONE and int(level) in _LEVELS[algorithm]:
            return Compression(algorithm, int(level))
    raise UsageError(f"--compression {text}: write gzip:1 to gzip:9, zstd:1 to zstd:19, or none")


def ratios_of(text: str) -> list[float]:
    """Of ``0.4,0.9``; 0 is zeros alone. Raises UsageError."""
    try:
        found = [float(each) for each in text.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= each <= 1 for each in found):
        raise UsageError(f"--ratio {text}: write what compression shall leave, from 0.01 to 1, or 0 for zeros alone")
    return found


def files_of(text: str) -> list[int]:
    """Of ``1,1000``. Raises UsageError."""
    found = [int(each) if each.strip().isdecimal() else 0 for each in text.split(",")]
    if min(found) < 1 or max(found) > 10_000_000:
        raise UsageError(f"--files {text}: write numbers of 1 and more, as 1,1000")
    return found


def shapes_of_tags(tags: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Of those that tell it: ``<layers>-layers-size-<bytes>-bytes``. Raises UsageError."""
    shapes = [study_shape(tag) for tag in tags]
    found = tuple(shape for shape in shapes if shape is not None)
    if len(found) < len(shapes) or not found:
        raise UsageError("--study: its images' tags do not tell layers and bytes; give --layers and --bytes")
    return found


def shapes_of(layers: Sequence[int], sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Each number of layers with each size."""
    return tuple(product(layers, sizes))
