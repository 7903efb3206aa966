"""How sure a speed-up is: its interval from job to job, and a verdict that many comparisons at once do not make."""

import math
import random

import pytest

from pullstudy.analysis.statistics.speed_up import NO_DIFFERENCE, TOO_FEW, SpeedUp, paired_speed_up, speed_up, verdicts


def known(found: SpeedUp | None) -> SpeedUp:
    assert found is not None
    return found


def test_a_speed_ups_interval_is_welchs_by_hand() -> None:
    """Logarithms 2, 3 and 4 against 0 and 1: standard error sqrt(1/3 + 1/4), 2.88 degrees of freedom."""
    found = known(speed_up([math.exp(value) for value in (2, 3, 4)], [math.exp(value) for value in (0, 1)]))
    error = math.sqrt(1 / 3 + 1 / 4)
    freedom = (1 / 3 + 1 / 4) ** 2 / ((1 / 3) ** 2 / 2 + (1 / 4) ** 2 / 1)
    assert freedom == pytest.approx(2.882, abs=0.001)
    assert math.log(found.value) == pytest.approx(2.5)
    assert math.log(known(found).high or 0) == pytest.approx(2.5 + 3.2565 * error, abs=0.005)
    assert math.log(known(found).low or 0) == pytest.approx(2.5 - 3.2565 * error, abs=0.005)


def test_sides_far_apart_are_faster_one_way_and_slower_the_other() -> None:
    first, second = [10.0, 11.0, 12.0, 10.5], [5.0, 5.5, 6.0, 5.2]
    assert verdicts([speed_up(first, second), speed_up(second, first)]) == ["faster", "slower"]


def test_one_job_a_side_has_a_speed_up_and_no_interval() -> None:
    found = speed_up([2.0], [1.0, 1.1])
    assert known(found).value == pytest.approx(2 / math.sqrt(1.1))
    assert known(found).low is None
    assert verdicts([found]) == [TOO_FEW]


def test_jobs_that_are_alike_to_the_last_digit_have_no_interval() -> None:
    assert known(speed_up([2.0, 2.0], [1.0, 1.0])).low is None


def test_no_job_or_one_that_took_no_time_has_no_speed_up() -> None:
    assert speed_up([], [1.0]) is None
    assert speed_up([1.0], [0.0]) is None
    assert verdicts([None]) == [""]
    assert paired_speed_up([]) is None


def test_the_images_together_tell_what_one_job_of_each_cannot() -> None:
    found = paired_speed_up([1.10, 1.12, 1.09, 1.11])
    assert known(found).value == pytest.approx(1.105, abs=0.001)
    assert verdicts([found]) == ["faster"]
    assert known(paired_speed_up([1.1])).low is None
    assert verdicts([paired_speed_up([1.3, 0.8, 1.1, 0.9])]) == [NO_DIFFERENCE]


def test_a_verdict_is_held_against_all_that_are_compared_with_it() -> None:
    alone = SpeedUp(1.01, 1.0001, 1.02, 0.04)
    others = [SpeedUp(1.0, 0.9, 1.1, 0.6)] * 9
    assert verdicts([alone]) == ["faster"]
    assert verdicts([alone, *others]) == [NO_DIFFERENCE] * 10
    sure = SpeedUp(0.5, 0.4, 0.6, 0.001)
    assert verdicts([alone, sure, *others])[:2] == [NO_DIFFERENCE, "slower"]


def test_alike_studies_whose_jobs_differ_from_each_other_are_rarely_told_apart() -> None:
    """Jobs of 64 pulls that share a factor: of pulls taken as independent nearly every pair would be told apart."""
    source = random.Random(7)

    def job() -> float:
        shared = source.gauss(0, 0.05)
        return sorted(10 * math.exp(shared + source.gauss(0, 0.005)) for _ in range(64))[32]

    found = [speed_up([job() for _ in range(3)], [job() for _ in range(3)]) for _ in range(300)]
    left_out = sum(not (known(each).low or 0) <= 1 <= (known(each).high or 0) for each in found)
    assert 3 <= left_out <= 27  # 5% of 300 is 15; binomial bounds beyond 99.8%
