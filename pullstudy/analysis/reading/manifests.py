"""Image manifests and configs, gathered in one JSON file, read into layers.

The file's keys: ``manifests`` and ``configs``, each from tag to the registry's own document
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


class _Layer(msgspec.Struct):
    digest: str
    size: _Int64
    media_type: str | None = msgspec.field(default=None, name="mediaType")


class _Manifest(msgspec.Struct):
    layers: list[_Layer]
    schema_version: _Int64 | None = msgspec.field(default=None, name="schemaVersion")


class _Config(msgspec.Struct):
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None

    @property
    def platform(self) -> str | None:
        parts = [part for part in (self.os, self.architecture, self.variant) if part]
        return "/".join(parts) or None


class _File(msgspec.Struct):
    manifests: dict[str, _Manifest]
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


def decode_manifests(path: Path, text: bytes, repository: str | None = None) -> list[Layer]:
    """The same of a text that was read from there. Raises ManifestsError."""
    if len(text) > _MOST_BYTES or text.count(b"{") > _MOST_OBJECTS:
        raise ManifestsError(
            path, f"more than {_MOST_BYTES >> 20} MiB, or {_MOST_OBJECTS} manifests, configs and layers"
        )
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


def _layers(repository: str, tag: str, manifest: _Manifest, config: _Config) -> list[Layer]:
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
