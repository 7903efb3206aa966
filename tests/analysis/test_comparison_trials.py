"""A few of the trials of bench/known_truth: what compare and an objective say where the truth is known."""

from collections import Counter

from bench.known_truth import comparisons
from bench.known_truth.trial import Trial


def counted(found: list[Trial]) -> Counter[bool | None]:
    return Counter(trial.right for trial in found)


def test_equal_studies_of_one_cluster_each_are_rarely_told_apart() -> None:
    found = [each for seed in range(40) for each in comparisons.comparison_trials(comparisons.DESIGNS[0], 1.0, seed)]
    assert counted(found)[False] <= 8  # of 80, two a pair of studies; 5% is 4


def test_a_fifth_less_is_found_nearly_always_where_each_repeat_has_a_cluster_of_its_own() -> None:
    found = [each for seed in range(20) for each in comparisons.comparison_trials(comparisons.DESIGNS[1], 0.8, seed)]
    assert counted(found)[True] >= 34
    assert not counted(found)[False]


def test_an_objective_is_hardly_ever_said_to_be_met_or_missed_where_it_is_not() -> None:
    found = [each for seed in range(8) for each in comparisons.sample_trials(5, 64, seed)]
    wrong = [each for each in found if each.right is False]
    assert len(wrong) <= 8
    assert {each.conclusion for each in found} == {"interval", "slo"}
    assert counted([each for each in found if each.conclusion == "slo"])[True] > len(found) / 4
