"""All that a profile found: images on one node, and what each is bounded by. What ``--json`` prints."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from driver.profiling.difference import Difference, difference
from driver.profiling.profile import ProfiledPull
from driver.profiling.verdict import Verdict, verdict
from driver.profiling.zstd_trial import ZstdTrial, zstd_trial


class ImageProfile(msgspec.Struct, frozen=True):
    """One image."""

    image: str
    pulls: tuple[ProfiledPull, ...]
    zstd_trial: ZstdTrial | None  # of its gzip layers, where it has some and it could be made
    verdict: Verdict | None  # None where no spans came
    sentence: str | None  # the verdict in words


class NodeProfile(msgspec.Struct, frozen=True):
    """One node."""

    node: str
    runtime: str  # its name and version
    socket: str
    processors: int
    images: tuple[ImageProfile, ...]
    differences: tuple[Difference, ...]  # of each image to the one before it
    no_spans: tuple[str, ...] = ()  # where none came: why, and what to do, as lines


def node_profile(
    node: str,
    runtime: str,
    socket: str,
    processors: int,
    pulls: Mapping[str, Sequence[ProfiledPull]],
    samples: Mapping[str, bytes],
    how_to_send: tuple[str, ...],
) -> NodeProfile:
    """``samples`` are beginnings of gzip layers; ``how_to_send`` is said where no spans came."""
    images = tuple(_image(image, found, samples.get(image, b""), processors) for image, found in pulls.items())
    differences = tuple(
        found for one, two in pairwise(pulls) if (found := difference(one, pulls[one], two, pulls[two])) is not None
    )
    told = any(pull.stages is not None for image in images for pull in image.pulls)
    return NodeProfile(node, runtime, socket, processors, images, differences, () if told else how_to_send)


def _image(image: str, pulls: Sequence[ProfiledPull], sample: bytes, processors: int) -> ImageProfile:
    trial = zstd_trial(sample) if sample else None
    found = verdict(pulls, processors, trial)
    return ImageProfile(image, tuple(pulls), trial, found, found.sentence if found else None)
