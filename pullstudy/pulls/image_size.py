"""How large an image is, and who says so."""

import hashlib
from enum import StrEnum
from typing import Annotated

import msgspec

MOST_BYTES = 2**50
MOST_LAYERS = 1_000  # runtimes take 128
Bytes = Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)]
LayerCount = Annotated[int, msgspec.Meta(ge=1, le=MOST_LAYERS)]

USUAL_COMPRESSION = 0.38  # of ordinary file systems under gzip

_GUESSED_LAYERS = 5
_GUESSED_BYTES = 60_000_000  # compressed


class SizeSource(StrEnum):
    """Who says how large an image is."""

    STUDY = "study.toml"
    MANIFEST = "manifest"  # in a file
    REGISTRY = "registry"
    GUESSED = "guessed"  # nobody: it follows from the letters of its name


class ImageSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``compressed_bytes``, of all layers, and a list of ``layers``, the compressed bytes of each, is known."""

    compressed_bytes: Bytes | None = None
    unpacked_bytes: Bytes | None = None  # None: as many times the compressed ones as is usual; no manifest tells them
    layers: LayerCount | Annotated[tuple[Bytes, ...], msgspec.Meta(min_length=1, max_length=MOST_LAYERS)] = 1
    digests: tuple[str, ...] = ()  # of the layers, where they are known
    source: SizeSource = SizeSource.STUDY

    @property
    def layer_bytes(self) -> tuple[int, ...]:
        """Compressed, of each layer; alike where only their number is known."""
        if isinstance(self.layers, tuple):
            return self.layers
        return (round((self.compressed_bytes or 0) / self.layers),) * self.layers

    @property
    def compressed(self) -> int:
        """What a registry sends of it, in bytes."""
        return sum(self.layers) if isinstance(self.layers, tuple) else self.compressed_bytes or 0

    @property
    def unpacked(self) -> int:
        """Bytes on the node's disk, estimated from the compressed ones where nobody says them."""
        return round(self.compressed / USUAL_COMPRESSION) if self.unpacked_bytes is None else self.unpacked_bytes

    @property
    def mistake(self) -> str | None:
        """What does not fit together, in words."""
        if not isinstance(self.layers, tuple):
            return "compressed_bytes, or a list of layers, is wanted" if self.compressed_bytes is None else None
        if self.compressed_bytes not in (None, sum(self.layers)):
            return f"compressed_bytes = {self.compressed_bytes}, and its layers have {sum(self.layers)} bytes together"
        return f"{len(self.layers)} layers have {len(self.digests)} digests" if self._digests_differ else None

    @property
    def _digests_differ(self) -> bool:
        return bool(self.digests) and len(self.digests) != len(self.layer_bytes)


def guessed_size(reference: str) -> ImageSize:
    """Between a half and twice what is usual, by the digest of the name: the same for the same name, always."""
    digest = hashlib.sha256(reference.encode()).hexdigest()
    each = round(_GUESSED_BYTES * 0.5 * 4 ** (int(digest[-4:], 16) / 0xFFFF) / _GUESSED_LAYERS)
    return ImageSize(layers=(each,) * _GUESSED_LAYERS, source=SizeSource.GUESSED)
