"""Image references: ``registry/name:tag@sha256:...`` taken apart, and the study's tags read."""

import re

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


def study_shape(tag: str | None) -> tuple[int, int] | None:
    """(layers, total bytes unpacked) that a tag ``<L>-layers-size-<B>-bytes`` states, or None for other tags."""
    match = STUDY_TAG.fullmatch(tag or "")
    return (int(match[1]), int(match[2])) if match else None
