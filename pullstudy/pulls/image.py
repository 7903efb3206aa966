"""Image references: ``registry/name:tag@sha256:...`` taken apart, and the study's tags read."""

import re
from fnmatch import fnmatchcase

import msgspec

from pullstudy.pulls.text_cache import cached_by_text

STUDY_TAG = re.compile(r"([0-9]{1,6})-layers-size-([0-9]{1,18})-bytes")


class ImageReference(msgspec.Struct, frozen=True):
    """Repository, tag and digest of a reference; what the reference does not say is None."""

    repository: str
    tag: str | None
    digest: str | None


@cached_by_text(4096)
def parse_image(reference: str) -> ImageReference:
    """Split a reference by the grammar of distribution/reference, without filling in defaults.

    A colon is a tag's only after the last slash, since a registry may carry a port.
    """
    name, at, digest = reference.partition("@")
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    if colon < 0:
        return ImageReference(name, None, digest if at else None)
    return ImageReference(name[:colon], name[colon + 1 :], digest if at else None)


def registry_of(repository: str) -> str:
    """The host that a repository lies on: the first part of its name where that has a dot or a port or is localhost,
    and Docker Hub's where it is none. Source: distribution/reference."""
    first, slash, _ = repository.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


class FullReference(msgspec.Struct, frozen=True):
    """A reference with the defaults filled in, as a runtime asks a registry for it: tag or digest are there."""

    host: str
    repository: str  # on that host
    tag: str | None
    digest: str | None

    def same_image(self, other: "FullReference") -> bool:
        """Whether both name one image, as far as their names tell: by a tag, whatever it once had as its digest."""
        alike = (self.host, self.repository) == (other.host, other.repository)
        by_tag = self.tag == other.tag if self.tag and other.tag else self.digest == other.digest
        return alike and by_tag


def full_reference(reference: str) -> FullReference:
    """Source: distribution/reference, normalize.go."""
    parsed = parse_image(reference)
    host = registry_of(parsed.repository)
    name = parsed.repository.removeprefix(f"{host}/")
    if host in ("docker.io", "index.docker.io"):
        host, name = "docker.io", name if "/" in name else f"library/{name}"
    return FullReference(host, name, parsed.tag or (None if parsed.digest else "latest"), parsed.digest)


def study_shape(tag: str | None) -> tuple[int, int] | None:
    """(layers, total bytes unpacked) that a tag ``<L>-layers-size-<B>-bytes`` states, or None for other tags."""
    match = STUDY_TAG.fullmatch(tag or "")
    return (int(match[1]), int(match[2])) if match else None


def image_fits(image: str, pattern: str) -> bool:
    """Whether a shell pattern is that of the whole name, as the kubelet has it, or of what is behind its last slash."""
    return any(fnmatchcase(name, pattern) for name in (image, image.rpartition("/")[2]))
