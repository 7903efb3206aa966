"""What runs kept of their images' sizes."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from pullstudy.analysis.reading.layers import Layer
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.image_size import ImageSize, SizeSource
from pullstudy.store.embedded.ledger import Run


class _Images(msgspec.Struct):
    sizes: dict[str, ImageSize] = {}


class _Study(msgspec.Struct):
    images: _Images = msgspec.field(default_factory=_Images)


def sizes_of_run(run: Run) -> dict[str, ImageSize]:
    """By reference: of the images whose names do not tell them."""
    return msgspec.json.decode(run.study, type=_Study).images.sizes


def sizes_of_runs(runs: Iterable[Run]) -> dict[str, ImageSize]:
    """The same of several: where these differ, the last one's."""
    return {image: size for run in runs for image, size in sizes_of_run(run).items()}


def guessed_images(runs: Iterable[Run], pulled: Iterable[str]) -> list[str]:
    """Of the images that were pulled in a simulation those whose size nobody told."""
    kept = sizes_of_runs(runs)
    return sorted(image for image in pulled if _is_guess(kept.get(image), image))


def _is_guess(size: ImageSize | None, image: str) -> bool:
    """A run from before sizes were kept has none of any image."""
    if size is None:
        return study_shape(parse_image(image).tag) is None
    return size.source is SizeSource.GUESSED


def compressed_bytes(runs: Iterable[Run], layers: Iterable[Layer]) -> dict[str, int]:
    """What registries send of images, by reference, as manifests or the study tell it."""
    told = {
        image: size.compressed
        for run in runs
        for image, size in sizes_of_run(run).items()
        if size.source is not SizeSource.GUESSED
    }
    imported = Counter[str]()
    for layer in layers:
        imported[layer.image] += layer.layer_bytes
    return {**told, **imported}
