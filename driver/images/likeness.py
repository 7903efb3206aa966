"""Orders for images like others: as many layers, each of the same compressed bytes."""

import re
from collections.abc import Iterable, Iterator

from driver.errors import UsageError
from driver.images.describe import DescribedImage, DescribedLayer
from driver.images.layer_writer import unpacked_for
from driver.images.order import Algorithm, Compression, ImageOrder, LayerOrder, usual
from pullstudy.pulls.image import parse_image, registry_of

_NO_NAME = re.compile(r"[^A-Za-z0-9_./-]+")


def orders_like(
    images: Iterable[DescribedImage],
    *,
    ratio: float,
    files: int,
    seed: str,
    architecture: str,
    compression: Compression | None = None,
) -> Iterator[ImageOrder]:
    """``ratio`` and ``files`` are of layers of which nothing tells them; ``compression`` is in place of theirs.

    Raises UsageError.
    """
    if not ratio:
        raise UsageError("--ratio 0: with --like it tells how far the layers were compressed; give a number above 0")
    for image in images:
        if not image.layers:
            raise UsageError(f"--like: {image.name or 'the image'} has no layers, so it is no image to imitate")
        layers = tuple(_like(layer, ratio, files, compression) for layer in image.layers)
        yield ImageOrder(_name(image), layers, seed, architecture)


def _like(layer: DescribedLayer, ratio: float, files: int, compression: Compression | None) -> LayerOrder:
    wanted = compression or _compression(layer.media_type or "")
    files = layer.files if layer.files is not None else files
    if wanted.algorithm is Algorithm.NONE:
        size = unpacked_for(layer.bytes, files)
        return LayerOrder(wanted, size, round(size * ratio), min(files, size))
    size = layer.unpacked_bytes if layer.unpacked_bytes is not None else round(layer.bytes / ratio)
    return LayerOrder(wanted, size, layer.bytes, min(files, size))


def _compression(media_type: str) -> Compression:
    """By its media type; gzip where that says nothing. The level no media type tells."""
    if media_type.endswith("zstd"):
        return usual(Algorithm.ZSTD)
    return usual(Algorithm.NONE if media_type.endswith("tar") else Algorithm.GZIP)


def _name(image: DescribedImage) -> str:
    """The image's own without its registry; what no name may have is left out."""
    known = parse_image(image.name or "like")
    host = registry_of(known.repository)
    path = _NO_NAME.sub("-", known.repository.removeprefix(f"{host}/"))
    tag = known.tag or ("latest" if "/" in known.repository else None)
    return f"{path}:{_NO_NAME.sub('-', tag)}" if tag else path
