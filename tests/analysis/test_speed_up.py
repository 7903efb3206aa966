"""How sure a speed-up is: by jobs and clusters, and never by many comparisons at once."""

import math
import random

import pytest

from pullstudy.analysis.statistics.speed_up import (
    ASSUMED_CLUSTER_SPREAD,
    Answer,
    Basis,
    Jobs,
    SpeedUp,
    SpeedUps,
    answers,
    speed_ups,
)

Images = dict[str, Jobs]


def alone(*values: float) -> dict[int, Images]:
    """One image on one cluster of 8 nodes."""
    return {8: {"image": {"c": values}}}


def of(first: dict[int, Images], second: dict[int, Images], assumed: float = 0.0) -> SpeedUps[str]:
    found = speed_ups({size: (first[size], second[size]) for size in first}, assumed)
    assert found is not None
    return found


def test_the_interval_of_one_image_is_welchs_by_hand_where_clusters_do_not_differ() -> None:
    """Logarithms 2, 3 and 4 against 0 and 1: standard error sqrt(1/3 + 1/4), 2.88 degrees of freedom."""
    found = of(alone(*(math.exp(value) for value in (2, 3, 4))), alone(*(math.exp(value) for value in (0, 1)))).overall
    error = math.sqrt(1 / 3 + 1 / 4)
    assert math.log(found.value) == pytest.approx(2.5)
    assert math.log(found.high or 0) == pytest.approx(2.5 + 3.2565 * error, abs=0.005)
    assert math.log(found.low or 0) == pytest.approx(2.5 - 3.2565 * error, abs=0.005)


def test_one_cluster_a_side_is_off_by_what_clusters_are_assumed_to_differ() -> None:
    first, second = alone(10.0, 10.1, 9.9), alone(9.0, 9.1, 8.9)
    near, far = of(first, second), of(first, second, 0.05)
    assert answers([near.overall, far.overall]) == [Answer.FASTER, Answer.UNKNOWN]
    assert far.basis is Basis.ASSUMED
    assert math.log((far.overall.high or 0) / far.overall.value) == pytest.approx(2.04 * 0.05 * math.sqrt(2), rel=0.02)


def test_an_image_without_repeats_takes_the_variance_of_the_others() -> None:
    first = {8: {"often": {"c": [10.0, 11.0]}, "once": {"c": [20.0]}}}
    second = {8: {"often": {"c": [5.0, 5.5]}, "once": {"c": [10.0]}}}
    once = of(first, second).images[8, "once"]
    assert once.value == pytest.approx(2.0)
    assert 1 < (once.low or 0) < 2


def test_without_any_repeat_the_differences_between_images_stand_for_those_between_jobs() -> None:
    first = {8: {name: {"c": [value]} for name, value in (("a", 11.0), ("b", 11.2), ("c", 10.9))}}
    second = {8: {name: {"c": [10.0]} for name in "abc"}}
    found = of(first, second)
    assert answers([found.overall]) == [Answer.FASTER]
    assert answers([found.images[8, "a"]]) == [Answer.UNKNOWN]
    assert of(alone(2.0), alone(1.0)).overall == SpeedUp(2.0)


def test_the_same_values_are_surely_alike() -> None:
    found = of(alone(2.0, 3.0), alone(2.0, 3.0), 0.05)
    assert found.overall == SpeedUp(1.0, 1.0, 1.0, 1.0)
    assert answers([found.overall]) == [Answer.ALIKE]


def test_nothing_in_common_and_what_took_no_time_have_no_speed_up() -> None:
    assert speed_ups({}) is None
    assert speed_ups({8: ({"a": {"c": [1.0]}}, {"b": {"c": [1.0]}})}) is None
    assert speed_ups({8: ({"a": {"c": [0.0]}}, {"a": {"c": [1.0]}})}) is None


def test_a_verdict_is_held_against_all_that_are_compared_with_it() -> None:
    single = SpeedUp(1.01, 1.0001, 1.02, 0.04)
    others = [SpeedUp(1.0, 0.5, 2.0, 0.6)] * 9
    assert answers([single]) == [Answer.FASTER]
    assert answers([SpeedUp(1.2, 1.001, 1.5, 0.04), *others]) == [Answer.UNKNOWN] * 10
    sure = SpeedUp(0.5, 0.4, 0.6, 0.001)
    assert answers([sure, *others])[:2] == [Answer.SLOWER, Answer.UNKNOWN]
    assert answers([None, SpeedUp(1.3)]) == [Answer.UNKNOWN] * 2


def study(source: random.Random, sizes: tuple[int, ...], clusters: int, effect: float) -> dict[int, Images]:
    """Three jobs of each of two images on each cluster; clusters differ by 5%, jobs by 5%."""
    found: dict[int, Images] = {}
    for size in sizes:
        levels = {f"c{place}": source.gauss(0, 0.05) for place in range(clusters)}
        found[size] = {
            image: {
                name: [effect * math.exp(level + source.gauss(0, 0.05)) for _ in range(3)]
                for name, level in levels.items()
            }
            for image in "ab"
        }
    return found


@pytest.mark.parametrize(
    ("sizes", "clusters", "basis"),
    [
        ((8,), 1, Basis.ASSUMED),
        ((4, 8), 1, Basis.ASSUMED),
        ((8,), 4, Basis.CLUSTERS),
        ((4, 8, 16, 32, 64, 128), 1, Basis.SIZES),
    ],
)
def test_equal_studies_on_clusters_that_differ_are_rarely_told_apart(
    sizes: tuple[int, ...], clusters: int, basis: Basis
) -> None:
    source = random.Random(8)
    found = [
        of(study(source, sizes, clusters, 1.0), study(source, sizes, clusters, 1.0), ASSUMED_CLUSTER_SPREAD)
        for _ in range(300)
    ]
    assert {each.basis for each in found} == {basis}
    alarms = sum(answers([each.overall])[0] in (Answer.FASTER, Answer.SLOWER) for each in found)
    assert 3 <= alarms <= 27  # 5% of 300 is 15; binomial bounds beyond 99.8%


def test_a_half_more_is_found_nearly_always_on_one_cluster_a_side() -> None:
    source = random.Random(8)
    found = [
        of(study(source, (8,), 1, 1.0), study(source, (8,), 1, 1.5), ASSUMED_CLUSTER_SPREAD).overall for _ in range(60)
    ]
    assert sum(answers([each])[0] is Answer.SLOWER for each in found) >= 57


def test_sizes_that_contradict_each_other_make_no_answer_over_all_of_them() -> None:
    first = {4: {"a": {"c": [10.0, 10.1]}}, 8: {"a": {"c": [10.0, 10.1]}}}
    second = {4: {"a": {"c": [30.0, 30.1]}}, 8: {"a": {"c": [1.0, 1.01]}}}
    found = of(first, second, 0.05)
    assert found.sizes_differ
    assert answers(list(found.sizes.values())) == [Answer.SLOWER, Answer.FASTER]
    assert answers([found.overall]) == [Answer.UNKNOWN]
    assert not of(first, {4: second[4], 8: second[4]}, 0.05).sizes_differ
