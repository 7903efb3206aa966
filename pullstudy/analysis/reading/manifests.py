"""Image manifests: single ones, and with their configs gathered in one JSON file, which is read into layers.

That file's keys: ``manifests`` and ``configs``, each from tag to the registry's own document
(Docker manifest v2 schema 2 or OCI image manifest), and perhaps ``uri``, the repository of all of them.
"""

import gzip
import zlib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from pullstudy.analysis.errors import ManifestsError
from pullstudy.analysis.reading.layers import Layer, write_layers

# The study's own file names tags only; all of its images are of this repository.
STUDY_REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"


_MOST_BYTES = 64 << 20
_MOST_OBJECTS = 400_000  # manifests, configs and layers of a file: of more the decoder would make gigabytes
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # no store holds more


class ManifestLayer(msgspec.Struct):
    """A layer as an image's manifest lists it; ``size`` is of its compressed bytes."""

    digest: str
    size: _Int64
    media_type: str | None = msgspec.field(default=None, name="mediaType")


class Manifest(msgspec.Struct):
    """Docker's manifest v2 schema 2, or OCI's image manifest."""

    layers: list[ManifestLayer]
    schema_version: _Int64 | None = msgspec.field(default=None, name="schemaVersion")


class _Config(msgspec.Struct):
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None

    @property
    def platform(self) -> str | None:
        parts = [part for part in (self.os, self.architecture, self.variant) if part]
        return "/".join(parts) or None


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        return (self.os, self.architecture)


class _Descriptor(msgspec.Struct):
    platform: _Platform = msgspec.field(default_factory=_Platform)


class _Inspected(msgspec.Struct, rename="pascal"):
    """What ``docker manifest inspect --verbose`` says of one platform of an image."""

    ref: str
    descriptor: _Descriptor = msgspec.field(default_factory=_Descriptor)
    schema_v2_manifest: Manifest | None = msgspec.field(default=None, name="SchemaV2Manifest")
    oci_manifest: Manifest | None = msgspec.field(default=None, name="OCIManifest")

    @property
    def manifest(self) -> Manifest | None:
        return self.schema_v2_manifest or self.oci_manifest


class _File(msgspec.Struct):
    manifests: dict[str, Manifest]
    configs: dict[str, _Config] = {}
    uri: str | None = None


def looks_like_manifests(document: Any) -> bool:
    """Whether decoded JSON is such a file, and not a list of events."""
    return isinstance(document, dict) and isinstance(document.get("manifests"), dict)


def read_manifests(path: Path, repository: str | None = None) -> list[Layer]:
    """All layers of all images of the file, plain or gzip, in its order.

    ``repository`` is theirs where the file does not say it (default: the study's). Raises ManifestsError.
    """
    try:
        return decode_manifests(path, _read(path), repository)
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestsError(path, getattr(error, "strerror", None) or str(error)) from error


PLATFORM = ("linux", "amd64")  # of several that an image is there for
_INDEX = "an index of platforms, which has no layers: crane manifest --platform linux/amd64 IMAGE gives them"


def read_image_manifests(path: Path) -> dict[str | None, list[ManifestLayer]]:
    """The layers of the images of a file, by name; None is a single manifest, which does not name its image.

    Besides the gathered ones: what ``crane manifest`` and ``docker manifest inspect`` print, with ``--verbose`` too.
    Raises ManifestsError.
    """
    try:
        text = _read(path)
        _check_size(path, text)
        document = msgspec.json.decode(text)
        if looks_like_manifests(document):
            return _gathered(decode_manifests(path, text))
        if isinstance(document, dict) and isinstance(document.get("manifests"), list):
            raise ManifestsError(path, _INDEX)
        if isinstance(document, dict) and "layers" in document:
            return {None: msgspec.convert(document, Manifest).layers}
        return _inspected(document)
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestsError(path, getattr(error, "strerror", None) or str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestsError(path, f"no image manifest ({error})") from error


def _gathered(layers: list[Layer]) -> dict[str | None, list[ManifestLayer]]:
    found: dict[str | None, list[ManifestLayer]] = {}
    for layer in layers:
        found.setdefault(layer.image, []).append(ManifestLayer(layer.digest, layer.layer_bytes))
    return found


def _inspected(document: Any) -> dict[str | None, list[ManifestLayer]]:
    told = msgspec.convert(document if isinstance(document, list) else [document], list[_Inspected])
    chosen = [each for each in told if len(told) == 1 or each.descriptor.platform.pair == PLATFORM]
    return {each.ref: each.manifest.layers for each in chosen if each.manifest is not None}


def _check_size(path: Path, text: bytes) -> None:
    if len(text) > _MOST_BYTES or text.count(b"{") > _MOST_OBJECTS:
        raise ManifestsError(
            path, f"more than {_MOST_BYTES >> 20} MiB, or {_MOST_OBJECTS} manifests, configs and layers"
        )


def decode_manifests(path: Path, text: bytes, repository: str | None = None) -> list[Layer]:
    """The same of a text that was read from there. Raises ManifestsError."""
    _check_size(path, text)
    try:
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestsError(path, f"no image manifests ({error})") from error
    owner = file.uri or repository or STUDY_REPOSITORY
    return [
        layer
        for tag, manifest in file.manifests.items()
        for layer in _layers(owner, tag, manifest, file.configs.get(tag, _Config()))
    ]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        return (gzip.GzipFile(fileobj=file) if packed else file).read(_MOST_BYTES + 1)


def _layers(repository: str, tag: str, manifest: Manifest, config: _Config) -> list[Layer]:
    return [
        Layer(
            repository=repository,
            tag=tag,
            position=position,
            digest=layer.digest,
            layer_bytes=layer.size,
            media_type=layer.media_type,
            platform=config.platform,
            os=config.os,
            arch=config.architecture,
            schema_version=manifest.schema_version,
        )
        for position, layer in enumerate(manifest.layers)
    ]


def import_manifests(path: Path, directory: Path, repository: str | None = None, text: bytes | None = None) -> int:
    """Keep the file's layers in the directory's study; return how many. Raises ManifestsError, StoreError.

    ``text`` is what stands in the file, where it was read already: a pipe can be read once.
    """
    layers = read_manifests(path, repository) if text is None else decode_manifests(path, text, repository)
    return write_layers(directory, layers)
