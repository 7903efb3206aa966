"""Growth with the cluster: a cluster is one value, images are tested together, and "no" needs an interval for it."""

import random

import pytest

from bench.known_truth import growth
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.growth_test import JobSeconds, growth_findings

SIZES = (4, 8, 16, 32, 64)


def values(ratio: float, sizes: tuple[int, ...] = SIZES, *, images: int = 3, noise: float = 0.01) -> list[JobSeconds]:
    source = random.Random(3)
    return [
        JobSeconds(f"c-{size}", size, f"image-{image}", "cold", (10 + image) * ratio**power * source.gauss(1, noise))
        for power, size in enumerate(sizes)
        for image in range(images)
    ]


def of_all(given: list[JobSeconds]) -> Finding:
    return growth_findings(FindingId.PULL_GROWTH, given)[0]


def test_a_growth_by_a_tenth_a_doubling_is_told_with_its_interval() -> None:
    found = of_all(values(1.1))
    assert (found.verdict, found.n, found.counts) == (Verdict.YES, 5, "clusters")
    assert found.value == pytest.approx(1.1, rel=0.01)
    assert found.interval is not None
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert 1.05 < low < 1.1 < high < 1.15


def test_no_growth_is_said_where_the_interval_excludes_one_that_matters() -> None:
    assert of_all(values(1.0)).verdict is Verdict.NO
    assert of_all(values(1.0, noise=0.15)).verdict is Verdict.UNKNOWN


def test_of_two_clusters_nothing_is_told_however_many_their_jobs_are() -> None:
    found = of_all(values(2.0, (4, 64), images=30))
    assert (found.verdict, found.value, found.interval, found.n) == (Verdict.UNKNOWN, None, None, 2)
    assert "it takes 3" in found.evidence


def test_what_the_jobs_of_a_cluster_have_in_common_is_no_evidence_of_growth() -> None:
    """Thirty images make the day of one cluster no surer."""
    slow_day = [
        JobSeconds(each.cluster, each.size, each.image, "cold", each.seconds * (1.2 if each.size == 16 else 1.0))
        for each in values(1.0, (4, 8, 16), images=30)
    ]
    assert of_all(slow_day).verdict is Verdict.UNKNOWN


def test_images_that_only_some_clusters_pulled_do_not_pass_for_growth() -> None:
    """The large clusters pulled the large images alone."""
    some = [each for each in values(1.0, images=6) if each.size < 32 or each.image > "image-2"]
    assert of_all(some).verdict is Verdict.NO


def test_layer_groups_images_and_cache_states_are_all_there() -> None:
    image = "r/x:{}-layers-size-1000-bytes".format
    given = [
        JobSeconds(each.cluster, each.size, image(layers), cache, each.seconds)
        for each in values(1.0, images=1)
        for layers, cache in ((9, "cold"), (125, "cold"), (9, "warm"))
    ]
    subjects = [found.subject for found in growth_findings(FindingId.MAKESPAN_GROWTH, given)]
    assert subjects == [
        "all, cold",
        "9 layers, cold",
        "125 layers, cold",
        f"{image(9)}, cold",
        f"{image(125)}, cold",
        "all, warm",
    ]


@pytest.mark.parametrize(("ratio", "most_wrong", "least_right"), [(1.0, 4, 0), (1.1, 0, 35)])
def test_trials_with_a_known_growth_are_told_right(ratio: float, most_wrong: int, least_right: int) -> None:
    tried = [growth.drawn_trial("4 to 64", SIZES, ratio, seed) for seed in range(40)]
    assert sum(trial.right is False for trial in tried) <= most_wrong
    assert sum(trial.right is True for trial in tried) >= least_right
