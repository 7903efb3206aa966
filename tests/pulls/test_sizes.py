"""The syntax of --sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.pulls.sizes import SizesError, parse_sizes


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("4..256", (4, 8, 16, 32, 64, 128, 256)),
        ("4..255", (4, 8, 16, 32, 64, 128)),
        ("3..3", (3,)),
        ("4,8,12", (4, 8, 12)),
        (" 12, 4 ", (12, 4)),
        ("7", (7,)),
        ("4..20:4", (4, 8, 12, 16, 20)),
        ("4..19:4", (4, 8, 12, 16)),
    ],
)
def test_the_three_forms(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    "text", ["", "x", "4..", "..8", "8..4", "0..4", "0", "4,,8", "4,4", "4..8:0", "-4", "4;8", "4-8", "4..8..16"]
)
def test_anything_else_is_an_error_that_shows_the_three_forms(text: str) -> None:
    with pytest.raises(SizesError) as caught:
        parse_sizes(text)
    for form in ("4..256", "4,8,12", "4..20:4"):
        assert form in str(caught.value)


@given(st.text(max_size=12))
def test_no_text_gives_anything_but_sizes_or_the_error(text: str) -> None:
    try:
        sizes = parse_sizes(text)
    except SizesError:
        return
    assert sizes
    assert min(sizes) >= 1
