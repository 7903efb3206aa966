"""The three similarities, by what they must always be."""

from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.findings.similarity import ImagePair, mean_and_deviation, pairs
from pullstudy.analysis.reading.layers import Layer

IMAGES = st.dictionaries(
    st.sampled_from("abcde"), st.sets(st.sampled_from("0123456789"), min_size=1), min_size=1, max_size=5
)


def layers_of(images: dict[str, set[str]], size: int = 1) -> list[Layer]:
    return [
        Layer(repository="r", tag=tag, position=position, digest=digest, layer_bytes=size + ord(digest))
        for tag, digests in images.items()
        for position, digest in enumerate(sorted(digests))
    ]


def found(images: dict[str, set[str]]) -> dict[tuple[str, str], ImagePair]:
    return {(pair.image[2:], pair.other_image[2:]): pair for pair in pairs(layers_of(images))}


@given(IMAGES)
def test_every_similarity_is_symmetric_and_one_with_itself_and_from_0_to_1(images: dict[str, set[str]]) -> None:
    matrix = found(images)
    for (left, right), pair in matrix.items():
        other = matrix[right, left]
        for name in ("digest_similarity", "content_similarity", "bytes_similarity"):
            value = getattr(pair, name)
            assert value == getattr(other, name)
            assert 0 <= value <= 1
            assert left != right or value == 1


@given(IMAGES)
def test_leaving_the_shared_layers_out_never_makes_images_more_alike(images: dict[str, set[str]]) -> None:
    for (left, right), pair in found(images).items():
        same = images[left] == images[right]
        assert pair.digest_similarity <= pair.content_similarity or same


def test_a_base_shared_by_all_counts_for_content_and_bytes_only() -> None:
    pair = found({"a": {"0", "1"}, "b": {"0", "2"}})["a", "b"]
    assert (pair.digest_similarity, pair.content_similarity) == (0.0, 1 / 3)
    assert (pair.shared_layers, pair.union_layers) == (1, 3)
    assert pair.bytes_similarity == pair.shared_bytes / pair.union_bytes == 49 / (49 + 50 + 51)


def test_the_deviation_is_the_populations_own() -> None:
    assert (mean_and_deviation([0, 2]).mean, mean_and_deviation([0, 2]).std) == (1, 1)
