"""Whether something grows with the nodes: trials with a known truth, in which clusters differ by themselves."""

import random

import pytest

from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.growth_finding import growth_verdict
from pullstudy.analysis.statistics.doubling import per_doubling
from pullstudy.analysis.statistics.holm import holds

SIZES = (4, 8, 16, 32, 64, 128, 256)
IMAGES, CLUSTER_SPREAD, JOB_SPREAD = 6, 0.05, 0.08
TRIALS = 400


def verdicts(growth: float, sizes: tuple[int, ...] = SIZES) -> list[Verdict]:
    """Of trials in which a doubling takes ``growth`` times as long."""
    found = []
    for seed in range(TRIALS):
        chance = random.Random(seed)
        logarithms = []
        for place in range(len(sizes)):
            day = chance.gauss(0, CLUSTER_SPREAD)
            jobs = [chance.gauss(0, JOB_SPREAD) for _ in range(IMAGES)]
            logarithms.append(day + sum(jobs) / IMAGES + place * (growth - 1))
        found.append(growth_verdict(per_doubling(sizes, logarithms)))
    return found


def test_clusters_that_differ_by_chance_seldom_seem_to_grow() -> None:
    assert verdicts(1.0).count(Verdict.YES) <= 0.05 * TRIALS


def test_a_growth_of_a_tenth_a_doubling_is_found_over_seven_sizes_and_never_denied() -> None:
    found = verdicts(1.1)
    assert found.count(Verdict.YES) >= 0.95 * TRIALS
    assert found.count(Verdict.NO) == 0


def test_no_growth_is_said_where_seven_sizes_show_none() -> None:
    found = verdicts(1.0)
    assert found.count(Verdict.NO) >= 0.5 * TRIALS
    assert verdicts(1.05).count(Verdict.NO) <= 0.05 * TRIALS


@pytest.mark.parametrize("growth", [1.0, 2.0])
def test_two_clusters_never_tell(growth: float) -> None:
    assert set(verdicts(growth, (4, 8))) == {Verdict.UNKNOWN}


def test_one_size_has_no_growth() -> None:
    assert per_doubling([4, 4, 4], [0.1, 0.2, 0.3]) is None


def test_of_several_tests_those_hold_that_hold_together() -> None:
    """Holm's own way: 0.01 against 0.05/3, 0.02 against 0.05/2, 0.04 against 0.05."""
    assert holds([0.04, 0.01, None, 0.02]) == [True, True, False, True]
    assert holds([0.04, 0.01, None, 0.03]) == [False, True, False, False]
    assert holds([]) == []


def test_of_twenty_tests_of_nothing_one_seldom_holds() -> None:
    chance = random.Random(1)
    trials = [any(holds([chance.random() for _ in range(20)])) for _ in range(1000)]
    assert 0.02 < sum(trials) / len(trials) < 0.08
