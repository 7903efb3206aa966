"""A model that does not fit is found out, and one that fits is left alone."""

import random

import pytest

from pullstudy.analysis.statistics.fisher import f_tail
from pullstudy.analysis.statistics.lack_of_fit import curvature, lack_of_fit
from pullstudy.analysis.statistics.pattern_search import minimise

GROUPS = [cluster for cluster in "ab" for _ in range(24)]
CELLS = [cell for _ in "ab" for cell in range(6) for _ in range(4)]


def noise(seed: int) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(0, 1) for _ in GROUPS]


# By scipy.stats.f.sf.
@pytest.mark.parametrize(
    ("value", "of", "over", "p"), [(3.0, 2, 10, 0.0953674), (1.0, 5, 5, 0.5), (9.55, 2, 3, 0.0500117)]
)
def test_the_tail_of_f(value: float, of: float, over: float, p: float) -> None:
    assert f_tail(value, of, over) == pytest.approx(p, rel=1e-4)


def test_what_one_cell_has_more_than_the_others_is_a_lack_of_fit() -> None:
    bent = [value + 3 * (cell in (2, 3)) for value, cell in zip(noise(1), CELLS, strict=True)]
    found = lack_of_fit(bent, GROUPS, CELLS, 1)
    assert found is not None
    assert found.p < 1e-6
    assert found.pure_freedom == 48 - 2 - 6 + 1
    assert curvature(bent, GROUPS, [float(cell) for cell in CELLS], 1) < 1e-3


def test_of_noise_alone_one_in_twenty_is_found_to_misfit() -> None:
    tested = [lack_of_fit(noise(seed), GROUPS, CELLS, 0) for seed in range(200)]
    assert 2 <= sum(each.p < 0.05 for each in tested if each is not None) <= 20
    curves = [curvature(noise(seed), GROUPS, [float(cell) for cell in CELLS], 0) for seed in range(200)]
    assert 2 <= sum(p < 0.05 for p in curves) <= 20


def test_without_repeats_there_is_no_pure_error() -> None:
    assert lack_of_fit([1.0, 2.0, 3.0], "aaa", "xyz", 1) is None


def test_the_search_finds_the_least_of_a_function_with_a_kink() -> None:
    point, value = minimise(lambda x: abs(x[0] - 3) + 2 * abs(x[1] + 1) + 5, [0.0, 0.0])
    assert point == pytest.approx([3, -1], abs=0.01)
    assert value == pytest.approx(5, abs=0.02)
