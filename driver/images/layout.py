"""OCI image layouts: a directory of blobs named by their digests, and an index of the images in it.

Source: OCI image specification, image-layout.md, manifest.md, config.md, annotations.md.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from driver.errors import UsageError
from driver.registries.image_documents import DIGEST, INDEX_TYPE, MANIFEST_TYPE, MANIFEST_TYPES, MOST_DOCUMENT_BYTES
from pullstudy.atomic_file import synchronise, write_file
from pullstudy.pulls.image_size import MOST_LAYERS

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What one document says of another blob."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class ImageManifest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """OCI's image manifest, and Docker's manifest v2 schema 2, which has the same keys."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class ImageIndex(msgspec.Struct, frozen=True, rename="camel"):
    """Of a layout."""

    manifests: tuple[Descriptor, ...] = ()


class Layout:
    """One on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def is_there(self) -> bool:
        return (self.directory / "oci-layout").is_file()

    def create(self) -> None:
        """Where there is none yet. Raises OSError."""
        (self.directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        if not self.is_there:
            write_file(self.directory / "index.json", _index({}))
            write_file(self.directory / "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')

    def images(self) -> dict[str, Descriptor]:
        """By name; one without a name is called by its digest. Raises UsageError."""
        entries = self._decoded(self.directory / "index.json", ImageIndex).manifests
        return {each.annotations.get(REF_NAME, each.digest): each for each in entries}

    def manifest(self, entry: Descriptor) -> ImageManifest:
        """Of an image. Raises UsageError."""
        if entry.media_type not in MANIFEST_TYPES:
            raise UsageError(f"{self.directory}: {entry.digest} is {entry.media_type[:100]}, and no image manifest")
        manifest: ImageManifest = self._decoded(self.blob(entry.digest), ImageManifest)
        if len(manifest.layers) > MOST_LAYERS:
            raise UsageError(f"{self.directory}: {len(manifest.layers):,} layers; at most {MOST_LAYERS:,} are read")
        return manifest

    def blob(self, digest: str) -> Path:
        """Where it lies. Raises UsageError for what is no digest, which could lead anywhere."""
        if not DIGEST.fullmatch(digest):
            raise UsageError(f"{self.directory}: {digest[:100]!r} is no sha256 digest")
        return self.directory / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def holds(self, each: Descriptor) -> bool:
        """Whether the blob is there with its size."""
        path = self.blob(each.digest)
        return path.is_file() and path.stat().st_size == each.size

    def put(self, content: bytes) -> tuple[str, int]:
        """A small blob's digest and size. Raises OSError."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        write_file(self.blob(digest), content)
        return digest, len(content)

    def put_image(self, name: str, entry: Descriptor) -> None:
        """Into the index, in place of one of that name. Raises OSError, UsageError."""
        named = msgspec.structs.replace(entry, annotations={REF_NAME: name})
        write_file(self.directory / "index.json", _index({**self.images(), name: named}))

    @contextmanager
    def draft(self) -> Iterator[BinaryIO]:
        """A file on the layout's disk, gone after the block unless keep() took it. Raises OSError."""
        with tempfile.NamedTemporaryFile(dir=self.directory / "blobs", prefix=".part-", delete=False) as file:
            path = Path(file.name)
            try:
                path.chmod(0o644)
                yield cast(BinaryIO, file)
            finally:
                path.unlink(missing_ok=True)

    def keep(self, draft: BinaryIO, digest: str) -> None:
        """What was written is the blob of that digest. Raises OSError."""
        draft.flush()
        os.fsync(draft.fileno())
        os.replace(draft.name, self.blob(digest))
        synchronise(self.blob(digest).parent)

    def _decoded(self, path: Path, kind: Any) -> Any:
        try:
            if path.stat().st_size > MOST_DOCUMENT_BYTES:
                raise UsageError(f"{path}: more than {MOST_DOCUMENT_BYTES >> 20} MiB, which no manifest has")
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; {self.directory} is no whole OCI image layout") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"{path}: no document of an OCI image layout ({error})") from error


def manifest_document(config: Descriptor, layers: tuple[Descriptor, ...], annotations: dict[str, str]) -> bytes:
    """As its digest is made of."""
    body = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers}
    return msgspec.json.encode(body | {"annotations": annotations}, order="sorted")


def _index(images: dict[str, Descriptor]) -> bytes:
    entries = [images[name] for name in sorted(images)]
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
