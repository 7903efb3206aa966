"""How similar images are: three Jaccard indices over their layers.

Each is |A ∩ B| / |A ∪ B| of two images' layers. They differ in what is counted:

- ``digest``: layer digests, without those that all the images share (a common base distinguishes no two of them);
- ``content``: layer digests, with the shared ones: what the study calls content similarity, though no byte is weighed;
- ``bytes``: compressed bytes of the layers, with the shared ones: the share that a node with one of them need not pull.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add

from pullstudy.analysis.reading.layers import Layer, shared_by_all, without


@dataclass(frozen=True)
class ImagePair:
    """Two images and how similar they are."""

    image: str
    other_image: str
    digest_similarity: float
    content_similarity: float
    bytes_similarity: float
    shared_layers: int
    union_layers: int
    shared_bytes: int
    union_bytes: int


PAIR_COLUMNS: tuple[str, ...] = tuple(ImagePair.__dataclass_fields__)


@dataclass(frozen=True)
class MeanAndDeviation:
    """Mean and population standard deviation over the whole matrix, the ones of its diagonal among them."""

    mean: float
    std: float


def pairs(layers: Iterable[Layer]) -> list[ImagePair]:
    """The whole matrix, image by image in the order in which the images come."""
    layers = list(layers)
    whole = _layers_by_image(layers)
    own = _layers_by_image(without(layers, shared_by_all(layers)))
    return [
        _pair(left, right, whole, own.get(left, {}).keys(), own.get(right, {}).keys())
        for left, right in product(whole, repeat=2)
    ]


def mean_and_deviation(values: Iterable[float]) -> MeanAndDeviation:
    matrix = list(values)
    mean = _pairwise_sum(matrix) / len(matrix)
    return MeanAndDeviation(mean, math.sqrt(_pairwise_sum([(value - mean) ** 2 for value in matrix]) / len(matrix)))


def _pairwise_sum(values: Sequence[float]) -> float:
    """As numpy adds, whose sums the study's figures were rounded by: an exact one ends in other digits."""
    if len(values) > 128:
        half = len(values) // 2
        half -= half % 8
        return _pairwise_sum(values[:half]) + _pairwise_sum(values[half:])
    rest = len(values) % 8 if len(values) >= 8 else len(values)
    whole = values[: len(values) - rest]
    # reduce, not sum: since Python 3.12 that keeps what is rounded away.
    sums = [reduce(add, whole[start::8], 0.0) for start in range(8)]
    while len(sums) > 1:
        sums = [left + right for left, right in zip(sums[::2], sums[1::2], strict=True)]
    return reduce(add, values[len(whole) :], sums[0])


def _layers_by_image(layers: Iterable[Layer]) -> dict[str, dict[str, int]]:
    images: dict[str, dict[str, int]] = {}
    for layer in layers:
        images.setdefault(layer.image, {})[layer.digest] = layer.layer_bytes
    return images


def _pair(
    left: str, right: str, whole: dict[str, dict[str, int]], own_left: Iterable[str], own_right: Iterable[str]
) -> ImagePair:
    shared = whole[left].keys() & whole[right].keys()
    union = whole[left] | whole[right]
    shared_bytes = sum(union[digest] for digest in shared)
    union_bytes = sum(union.values())
    return ImagePair(
        image=left,
        other_image=right,
        digest_similarity=_jaccard(set(own_left), set(own_right)),
        content_similarity=len(shared) / len(union),
        bytes_similarity=shared_bytes / union_bytes if union_bytes else 1.0,
        shared_layers=len(shared),
        union_layers=len(union),
        shared_bytes=shared_bytes,
        union_bytes=union_bytes,
    )


def _jaccard(left: set[str], right: set[str]) -> float:
    # Two images of nothing but the shared base are the same image.
    return len(left & right) / len(left | right) if left or right else 1.0
