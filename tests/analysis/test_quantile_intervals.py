"""How sure quantiles are: exact of one unit's values, and right in trials where values come in units that differ."""

import math
import random
from statistics import NormalDist

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.statistics.incomplete_beta import at_least, incomplete_beta
from pullstudy.analysis.statistics.quantile_intervals import ASSUMED_SPREAD, ClusteredSample, QuantileEstimate

ROOM = math.exp(1.959964 * ASSUMED_SPREAD)
SHAPE = st.floats(0.05, 2000)


@given(st.floats(0, 1), SHAPE, SHAPE)
def test_the_incomplete_beta_function_is_scipys(x: float, a: float, b: float) -> None:
    assert incomplete_beta(x, a, b) == pytest.approx(float(scipy.stats.beta.cdf(x, a, b)), rel=1e-8, abs=1e-10)


@given(st.integers(0, 60), st.integers(1, 50), st.floats(0.01, 0.99))
def test_a_chance_of_so_many_successes_is_the_binomials(count: int, trials: int, probability: float) -> None:
    expected = float(scipy.stats.binom.sf(count - 1, trials, probability))
    assert at_least(count, trials, probability) == pytest.approx(expected, abs=1e-10)


def known(found: QuantileEstimate | None) -> QuantileEstimate:
    assert found is not None
    return found


def test_the_median_of_one_unit_lies_between_the_order_statistics_of_the_tables() -> None:
    """Of 20 values the 6th and the 15th (Conover 1999, table A3), and then what one unit leaves unknown."""
    found = known(ClusteredSample([[[float(value) for value in range(1, 21)]]]).quantile(0.5))
    assert found.value == 10.5
    assert found.low == pytest.approx(6 / ROOM)
    assert found.high == pytest.approx(15 * ROOM)


def test_five_values_bound_no_median_and_no_p95() -> None:
    sample = ClusteredSample([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    assert sample.quantile(0.5) == QuantileEstimate(3.0, None, None)
    assert sample.quantile(0.95) is None


def test_a_p95_of_twenty_values_has_a_lower_bound_alone() -> None:
    found = known(ClusteredSample([[[float(value) for value in range(20)]]]).quantile(0.95))
    assert found.low is not None
    assert found.high is None


def test_units_that_differ_make_an_interval_wider_than_as_many_values_that_do_not() -> None:
    source = random.Random(3)
    alike = [[source.gauss(10, 1) for _ in range(20)] for _ in range(10)]
    apart = [[value + place for value in unit] for place, unit in enumerate(alike)]
    widths = []
    for units in (alike, apart):
        found = known(ClusteredSample([units]).quantile(0.5))
        widths.append((found.high or math.inf) - (found.low or 0))
    assert widths[1] > 3 * widths[0]


def drawn(source: random.Random, units: int, values: int, spread: float) -> list[list[float]]:
    """Values that spread by 8%, in units that differ by ``spread``."""
    levels = [source.gauss(math.log(10), spread) for _ in range(units)]
    return [[math.exp(level + source.gauss(0, 0.08)) for _ in range(values)] for level in levels]


@pytest.mark.parametrize(
    ("units", "values", "probability"),
    [(1, 16, 0.5), (3, 8, 0.5), (5, 8, 0.5), (12, 8, 0.5), (12, 32, 0.95), (20, 64, 0.99), (1, 64, 0.95)],
)
def test_intervals_hold_the_truth_in_trials(units: int, values: int, probability: float) -> None:
    source = random.Random(1)
    truth = math.exp(math.log(10) + NormalDist().inv_cdf(probability) * math.hypot(0.08, 0.05))
    found = [known(ClusteredSample([drawn(source, units, values, 0.05)]).quantile(probability)) for _ in range(120)]
    missed = sum(not (each.low or 0) <= truth <= (each.high or math.inf) for each in found)
    assert missed <= 12  # 5% of 120 is 6; the binomial's 99.6%


def test_several_images_are_not_taken_for_chance() -> None:
    """Six images, each half as large again as the one before it: their median lies between the third and the fourth."""
    source = random.Random(2)
    images = [[[1.5**image * value for value in unit] for unit in drawn(source, 5, 16, 0.05)] for image in range(6)]
    found = known(ClusteredSample(images).quantile(0.5))
    assert 20 < (found.low or 0) < found.value < (found.high or math.inf) < 36


def test_few_values_bound_no_p99_from_above() -> None:
    found = known(ClusteredSample([drawn(random.Random(4), 20, 8, 0.05)]).quantile(0.99))
    assert found.high is None
    assert found.low is not None


def test_values_that_are_all_equal_have_an_interval_of_one_point() -> None:
    assert known(ClusteredSample([[[2.0] * 20, [2.0] * 20]]).quantile(0.5)) == QuantileEstimate(2.0, 2.0, 2.0)
