"""Quantiles, boxes and lines, against numpy and known tables."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.statistics.quantiles import (
    MAXIMUM_OUTLIERS,
    box,
    median_deviation,
    quantile,
    upper_quantile,
)
from pullstudy.analysis.statistics.regression import fit, fit_grouped
from pullstudy.analysis.statistics.student import student_quantile, two_sided

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


def test_a_quantile_that_would_be_the_largest_value_is_not_told() -> None:
    assert upper_quantile([float(value) for value in range(19)], 0.95) is None
    assert upper_quantile([float(value) for value in range(20)], 0.95) == pytest.approx(18.05)
    assert upper_quantile([1.0] * 99, 0.99) is None
    assert upper_quantile([1.0] * 100, 0.99) == 1
    assert upper_quantile([1.0, 2.0], 0.5) == 1.5


def test_the_median_deviation_is_not_moved_by_an_outlier() -> None:
    assert median_deviation([1, 2, 3, 4, 1000]) == 1


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (10, 2.22814), (30, 2.04227), (1000, 1.96234)],
)
def test_students_quantile_is_that_of_the_tables(freedom: int, expected: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(expected, rel=1e-5)
    assert student_quantile(0.025, freedom) == pytest.approx(-expected, rel=1e-5)


@given(st.floats(0.001, 0.999), st.floats(1, 500))
def test_students_quantile_and_probability_undo_each_other(probability: float, freedom: float) -> None:
    value = student_quantile(probability, freedom)
    assert two_sided(value, freedom) == pytest.approx(2 * min(probability, 1 - probability), abs=1e-9)


FREEDOMS = (0.5, 1, 1.5, 2, 2.882, 3, 4.7, 5, 10, 17.3, 30, 99.5, 199, 200, 201, 500.5, 1000, 9999.9)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_probability_is_scipys_to_twelve_digits(freedom: float) -> None:
    for t in (1e-4, 0.01, 0.1, 0.5, 1, 1.5, 2, 3, 5, 8, 12, 20, 35, 100, 1e3, 1e6):
        expected = 2 * scipy.stats.t.sf(t, freedom)
        assert two_sided(t, freedom) == pytest.approx(expected, rel=1e-12, abs=1e-290)
        assert two_sided(-t, freedom) == two_sided(t, freedom)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_quantile_is_scipys_to_twelve_digits(freedom: float) -> None:
    for probability in (1e-9, 1e-4, 0.001, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.49, 0.6, 0.75, 0.975, 0.9999):
        expected = float(scipy.stats.t.ppf(probability, freedom))
        assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-12)
    assert student_quantile(0.5, freedom) == 0


def test_students_quantile_is_exact_where_it_has_a_formula() -> None:
    """One degree of freedom is Cauchy's distribution; scipy's own is off by 1e-11 as near to the middle as this."""
    probability = 0.500001
    assert student_quantile(probability, 1) == pytest.approx(math.tan(math.pi * (probability - 0.5)), rel=1e-15)


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
    assert (line.slope_low or 0) <= 0


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
    assert (line.slope_low or 0) <= 0
