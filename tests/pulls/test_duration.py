"""Go durations, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.pulls.duration import DurationError, format_nanoseconds, parse_nanoseconds, parse_seconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0s", 0),
        ("1h2m3.5s", 3_723_500_000_000),
        ("9.722063481s", 9_722_063_481),
        ("359ms", 359_000_000),
        ("873.420598ms", 873_420_598),
        ("1.5µs", 1_500),
        ("15us", 15_000),
        ("12ns", 12),
        ("-1.5s", -1_500_000_000),
        ("100h0m0s", 360_000_000_000_000),
    ],
)
def test_a_duration_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_nanoseconds(text) == nanoseconds


def test_seconds_are_the_nearest_float() -> None:
    assert parse_seconds("1m48.634041526s") == 108.634041526


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "1.s", "+1s", "1d", "1m-2s", "one"])
def test_what_go_never_prints_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match="not a Go duration"):
        parse_nanoseconds(text)


@given(st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1))
def test_every_duration_that_go_can_hold_survives_the_round_trip(nanoseconds: int) -> None:
    assert parse_nanoseconds(format_nanoseconds(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    "text", ["1h2m3.5s", "1h0m0s", "1m0s", "9.722063481s", "359ms", "1.5µs", "12ns", "0s", "-2m1s"]
)
def test_formatting_writes_what_go_writes(text: str) -> None:
    assert format_nanoseconds(parse_nanoseconds(text)) == text


@pytest.mark.parametrize("text", ["2562047h47m16.854775808s", "9223372036854775808ns", "9" * 5_000 + "h"])
def test_more_than_64_bits_of_nanoseconds_is_no_duration(text: str) -> None:
    with pytest.raises(DurationError):
        parse_nanoseconds(text)
