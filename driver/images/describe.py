"""An image's layers as a registry, a layout or a file of manifests has them.

What a layer unpacks to no manifest says: of a layout each layer is read, and nothing of it is kept.
"""

import asyncio
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from driver.errors import DriverError, UsageError
from driver.images.layout import Descriptor, Layout
from driver.registries.registry import manifest_from_registry
from pullstudy.analysis.errors import ManifestsError
from pullstudy.analysis.reading.manifests import read_image_manifests
from pullstudy.extras import require
from pullstudy.pulls.kubernetes_names import reference_fault


class LayerError(DriverError):
    """A layer of a layout that cannot be unpacked."""


class DescribedLayer(msgspec.Struct, frozen=True):
    """What is unknown is None."""

    digest: str
    media_type: str | None
    bytes: int  # compressed, as a registry sends them
    unpacked_bytes: int | None = None  # of its files
    files: int | None = None


class DescribedImage(msgspec.Struct, frozen=True):
    """``name`` is as the source has it, None where a manifest does not say it."""

    name: str | None
    layers: tuple[DescribedLayer, ...]


def describe(source: str, environment: Mapping[str, str]) -> list[DescribedImage]:
    """``source``: a layout's directory, alone or as DIR:NAME, a file of manifests, or an image at its registry.

    Raises UsageError, LayerError, RegistryError, MissingExtraError, OSError.
    """
    directory, _, name = source.partition(":")
    layout = Layout(Path(directory))
    if layout.is_there:
        return _of_layout(layout, name)
    if Path(source).exists():
        return _of_file(Path(source))
    if fault := reference_fault(source):
        raise UsageError(f"{source}: no file, no OCI image layout, and no image's name: {fault}")
    layers = asyncio.run(manifest_from_registry(source, environment)).layers
    return [DescribedImage(source, tuple(DescribedLayer(each.digest, each.media_type, each.size) for each in layers))]


def _of_file(path: Path) -> list[DescribedImage]:
    try:
        found = read_image_manifests(path)
    except ManifestsError as error:
        raise UsageError(str(error)) from error
    return [
        DescribedImage(name, tuple(DescribedLayer(each.digest, each.media_type, each.size) for each in layers))
        for name, layers in found.items()
    ]


def _of_layout(layout: Layout, name: str) -> list[DescribedImage]:
    images = layout.images()
    if name and name not in images:
        raise UsageError(f"{layout.directory} has no image {name}, but {', '.join(sorted(images))[:500] or 'none'}")
    chosen = {name: images[name]} if name else images
    return [
        DescribedImage(each, tuple(_of_blob(layout, layer) for layer in layout.manifest(entry).layers))
        for each, entry in sorted(chosen.items())
    ]


def _of_blob(layout: Layout, layer: Descriptor) -> DescribedLayer:
    found = unpacked(layout.blob(layer.digest), layer.media_type)
    return DescribedLayer(layer.digest, layer.media_type, layer.size, found.bytes, found.files)


class Unpacked(NamedTuple):
    """Of a layer."""

    files: int
    bytes: int  # of the files


def unpacked(path: Path, media_type: str) -> Unpacked:
    """Raises LayerError, MissingExtraError."""
    files = total = 0
    try:
        with path.open("rb") as file, _tar(file, media_type) as tar:
            for member in tar:
                files += member.isreg()
                total += member.size if member.isreg() else 0
                cast(Any, tar).members = []  # tarfile would keep them all
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise LayerError(f"layer {path.name}: it cannot be unpacked ({error}); build or fetch it anew") from error
    return Unpacked(files, total)


@contextmanager
def _tar(file: BinaryIO, media_type: str) -> Iterator[tarfile.TarFile]:
    with _unpacking(file, media_type) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        yield tar


@contextmanager
def _unpacking(file: BinaryIO, media_type: str) -> Iterator[BinaryIO]:
    if media_type.endswith("gzip"):
        yield cast(BinaryIO, GzipFile(fileobj=file))
    elif media_type.endswith("zstd"):
        require("zstandard", "images")
        import zstandard

        try:
            yield cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
        except zstandard.ZstdError as error:
            raise OSError(str(error)) from error
    else:
        yield file
