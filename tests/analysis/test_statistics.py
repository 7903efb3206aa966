"""Quantiles, boxes, lines and the bootstrap, against numpy and known tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bootstrap import speed_up
from analysis.quantiles import MAXIMUM_OUTLIERS, box, ecdf, median_deviation, quantile
from analysis.regression import fit, fit_grouped, student_quantile

NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=60)


@given(NUMBERS, st.floats(0, 1))
def test_a_quantile_is_numpys(values: list[float], probability: float) -> None:
    expected = float(np.quantile(values, probability))
    assert quantile(sorted(values), probability) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(NUMBERS)
def test_a_box_holds_every_value_or_calls_it_an_outlier(values: list[float]) -> None:
    found = box(values)
    assert found.low <= found.q1
    assert found.q3 <= found.high
    assert found.q1 <= found.median <= found.q3
    outside = [value for value in values if not found.low <= value <= found.high]
    assert len(found.outliers) == min(len(outside), MAXIMUM_OUTLIERS)
    assert set(found.outliers) <= set(outside)


@given(NUMBERS)
def test_an_ecdf_rises_to_one_and_keeps_both_ends(values: list[float]) -> None:
    points = ecdf(values)
    assert (points[0][0], points[-1]) == (min(values), (max(values), 1.0))
    assert points == sorted(points)


def test_an_ecdf_of_many_values_stays_small() -> None:
    assert len(ecdf([float(value) for value in range(100_000)])) <= 125


def test_the_median_deviation_is_not_moved_by_an_outlier() -> None:
    assert median_deviation([1, 2, 3, 4, 1000]) == 1


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)]
)
def test_students_quantile_is_that_of_the_tables(freedom: int, expected: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(expected, rel=0.01 if freedom == 3 else 0.002)


def test_a_line_through_points_on_a_line_is_that_line() -> None:
    line = fit([1, 2, 3, 4], [5, 7, 9, 11])
    assert line is not None
    assert line.slope == pytest.approx(2)
    assert line.intercept == pytest.approx(3)
    assert line.r_squared == pytest.approx(1)
    assert line.slope_low == pytest.approx(2)


def test_a_lines_interval_is_that_of_the_textbook() -> None:
    """Slope 0.9 and, with 3 degrees of freedom, 3.182 standard errors to each side."""
    line = fit([1, 2, 3, 4, 5], [1, 3, 2, 5, 4.5])
    assert line is not None
    residuals = [y - line.intercept - line.slope * x for x, y in zip([1, 2, 3, 4, 5], [1, 3, 2, 5, 4.5], strict=True)]
    error = math.sqrt(sum(r * r for r in residuals) / 3 / 10)
    assert line.slope == pytest.approx(0.9)
    assert line.slope_high == pytest.approx(0.9 + 3.182 * error, rel=0.01)
    assert line.slope_low == pytest.approx(0.9 - 3.182 * error, abs=0.02)
    assert not line.grows


def test_groups_with_levels_of_their_own_share_one_slope() -> None:
    groups = ["a", "a", "b", "b"]
    line = fit_grouped(groups, [4, 8, 4, 8], [10, 14, 1000, 1004])
    assert line is not None
    assert line.slope == pytest.approx(1)


def test_no_line_goes_through_points_of_one_x() -> None:
    assert fit([4, 4], [1, 2]) is None


def test_two_points_make_a_line_without_an_interval() -> None:
    line = fit([1, 2], [1, 2])
    assert line is not None
    assert line.slope_low is None
    assert not line.grows


def test_a_speed_up_is_sure_where_the_sides_lie_apart_and_the_same_every_time() -> None:
    first, second = [10.0, 11.0, 12.0, 10.5] * 5, [5.0, 5.5, 6.0, 5.2] * 5
    found = speed_up(first, second)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.verdict == "faster"
    assert speed_up(first, second) == found
    back = speed_up(second, first)
    assert back is not None
    assert back.verdict == "slower"


def test_a_speed_up_of_alike_sides_is_no_difference() -> None:
    found = speed_up([1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 2.4, 3.9])
    assert found is not None
    assert found.verdict == "no difference beyond chance"


def test_two_values_are_too_few_for_an_interval() -> None:
    found = speed_up([2.0, 2.0], [1.0, 1.0, 1.0])
    assert found is not None
    assert (found.value, found.low, found.verdict) == (2.0, None, "too few to tell")
    assert speed_up([], [1.0]) is None
    assert speed_up([1.0], [0.0]) is None
