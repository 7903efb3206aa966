"""Conditions as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.findings.thresholds import Measure, Threshold, ThresholdError, Unit, parse_threshold
from pullstudy.pulls.duration import format_nanoseconds

SIGNS = st.sampled_from([">", "<", ">=", "<="])
BLANKS = st.sampled_from(["", " ", "  "])


@given(
    st.sampled_from([each for each in Measure if each is not Measure.FAILURES]),
    SIGNS,
    BLANKS,
    st.decimals(0, 999, places=3),
)
def test_a_plain_number_is_a_ratio(measure: Measure, sign: str, blank: str, number: object) -> None:
    found = parse_threshold(f"{blank}{measure}{blank}{sign}{blank}{number}{blank}")
    assert (found.measure, found.sign, found.number, found.unit) == (measure, sign, float(str(number)), Unit.RATIO)


@given(st.sampled_from([Measure.MEDIAN, Measure.P95, Measure.P99, Measure.MAKESPAN]), st.integers(0, 10**14))
def test_a_duration_is_seconds_however_it_is_written(measure: Measure, nanoseconds: int) -> None:
    found = parse_threshold(f"{measure} > {format_nanoseconds(nanoseconds)}")
    assert (found.number, found.unit) == (nanoseconds / 1e9, Unit.SECONDS)


def test_failures_are_counted_where_the_number_is_whole() -> None:
    assert parse_threshold("failures > 3").unit is Unit.COUNT
    assert parse_threshold("failures > 1.10").unit is Unit.RATIO


@given(st.text(max_size=40))
def test_any_other_text_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(ThresholdError) as refused:
        parse_threshold(f"p96 {text}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["p95", "p95 = 1", "p90 > 1", "p95 > fast", "failures > 5s", "cost > 5s", "p95 > 1e9", "p95 > 99999999999h", ""],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ThresholdError):
        parse_threshold(text)


@pytest.mark.parametrize(
    ("sign", "interval", "holds"),
    [
        (">", (1.2, 1.3), True),
        (">", (0.9, 1.0), False),
        (">", (1.0, 1.3), None),
        (">", (1.1, 1.1), False),
        (">=", (1.1, 1.1), True),
        ("<", (0.9, 1.0), True),
        ("<", (1.1, 1.2), False),
        ("<=", (1.1, 1.1), True),
        (">", (None, None), None),
        (">", (1.2, None), True),
        ("<", (None, 1.0), True),
    ],
)
def test_a_condition_holds_only_where_the_whole_interval_does(
    sign: str, interval: tuple[float | None, float | None], holds: bool | None
) -> None:
    assert Threshold(f"p95 {sign} 1.1", Measure.P95, sign, 1.1, Unit.RATIO).holds(*interval) is holds
