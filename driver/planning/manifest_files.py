"""Images' sizes from files of their manifests: ``FILE``, or ``IMAGE=FILE`` where the file does not name the image."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from driver.errors import UsageError
from pullstudy.analysis.errors import ManifestsError
from pullstudy.analysis.reading.manifests import ManifestLayer, read_image_manifests
from pullstudy.pulls.image import full_reference, parse_image, study_shape
from pullstudy.pulls.image_size import MOST_BYTES, MOST_LAYERS, ImageSize, SizeSource
from pullstudy.pulls.kubernetes_names import reference_fault


def sizes_of_files(
    files: Sequence[str], directory: Path, references: Sequence[str], others: Sequence[str] = ()
) -> dict[str, ImageSize]:
    """Of those of the study's images that the files have; the first file's word counts. Raises UsageError.

    ``others`` are told too where a file names them.
    """
    found: dict[str, ImageSize] = {}
    for each in files:
        image, path = _image_and_path(each, directory)
        told = dict(_told(path, image, references, others))
        if not told:
            raise UsageError(f"manifests {path}: none is of an image of the study; give it as IMAGE={each}")
        found = {**told, **found}
    return found


def size_of_layers(image: str, layers: Sequence[ManifestLayer], source: SizeSource) -> ImageSize:
    """Unpacked bytes are as the image's name says; no manifest does. Raises ValueError where no image is so."""
    sizes = [layer.size for layer in layers]
    if not sizes or len(sizes) > MOST_LAYERS or min(sizes) < 0 or sum(sizes) > MOST_BYTES:
        raise ValueError(f"a manifest of {len(sizes)} layers with {sum(sizes)} bytes")
    shape = study_shape(parse_image(image).tag)
    return ImageSize(
        unpacked_bytes=shape[1] if shape else None,
        layers=tuple(sizes),
        digests=tuple(layer.digest for layer in layers),
        source=source,
    )


def _image_and_path(text: str, directory: Path) -> tuple[str | None, Path]:
    image, equals, file = text.partition("=")
    if equals and not reference_fault(image) and not (directory / text).exists():
        return image, directory / file
    return None, directory / text


def _told(
    path: Path, image: str | None, references: Sequence[str], others: Sequence[str]
) -> Iterator[tuple[str, ImageSize]]:
    try:
        manifests = read_image_manifests(path)
    except ManifestsError as error:
        raise UsageError(str(error)) from error
    for name, layers in manifests.items():
        for reference in _named(path, image or name, references, others):
            try:
                yield reference, size_of_layers(reference, layers, SizeSource.MANIFEST)
            except ValueError as error:
                raise UsageError(f"manifests {path}: {name or reference}: {error}") from error


def _named(path: Path, image: str | None, references: Sequence[str], others: Sequence[str]) -> list[str]:
    """The study's images of that name. A manifest that does not name its image is of the only one."""
    if image is not None:
        wanted = full_reference(image)
        return [each for each in (*references, *others) if full_reference(each).same_image(wanted)]
    if len(references) != 1:
        raise UsageError(f"manifests {path}: it does not say of which image it is; give it as IMAGE={path}")
    return list(references)
