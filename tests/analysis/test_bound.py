"""What bounds the makespan: named models, told apart where the data can, and "unknown" where they cannot."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.known_truth import write_back
from pullstudy.analysis.findings.bound import Bound, bound_findings, bound_of
from pullstudy.analysis.findings.finding import FindingId, Verdict
from pullstudy.analysis.findings.writeback import JobPoint, WriteBack

GB = 10**9
SIZES = (1, 3, 6, 10, 15, 20)


def points(law: WriteBack | None, fill: float, *, compression: float = 1000, noise: float = 0.2) -> Iterator[JobPoint]:
    """Two clusters of the images of these sizes, unpacked at ``fill`` bytes a second; without a law nothing waits."""
    source = random.Random(1)
    for cluster, size in (("a", 4), ("b", 8)):
        for gigabytes in SIZES:
            pull = gigabytes * GB / fill * source.uniform(0.9, 1.1)
            wait = law.wait_seconds(gigabytes * GB, pull) if law else 0.0
            begun, ended = 0.5, 1.0 + source.gauss(0, noise)
            yield JobPoint(
                cluster, "cold", size, 9, gigabytes * GB, begun + pull + wait + ended, begun, begun + pull, pull,
                int(gigabytes * GB / compression),
            )  # fmt: skip


def test_a_volume_slower_than_the_unpacking_bounds_the_makespan_and_its_rate_is_found() -> None:
    bound, rate = bound_findings(points(WriteBack(200e6, 3e9, 8.0), fill=400e6))
    assert (bound.value, bound.verdict) == ("write-back", Verdict.YES)
    assert rate.interval is not None
    low, high = rate.interval
    assert low is not None
    assert high is not None
    assert low < 200e6 < high < 1.2 * low


def test_jobs_that_wait_for_no_volume_have_no_write_rate() -> None:
    bound, rate = bound_findings(points(None, fill=400e6))
    assert (rate.value, rate.interval, rate.verdict) == (None, None, Verdict.UNKNOWN)
    assert bound.value == "unpack"
    assert "no link is so slow" in bound.evidence


def test_download_and_unpacking_are_not_told_apart_where_all_images_compress_alike() -> None:
    assert bound_of(list(points(None, fill=400e6, compression=2))).bound is Bound.UNKNOWN


def test_a_time_that_no_image_changes_is_fixed() -> None:
    assert bound_of(list(points(None, fill=1e14, noise=0.02))).bound is Bound.FIXED


def test_a_law_that_does_not_fit_is_not_told() -> None:
    """Waits that go with the square of the bytes."""
    bent = [
        replace(each, makespan_seconds=each.makespan_seconds + (each.image_bytes / GB) ** 2 / 4)
        for each in points(WriteBack(200e6, 3e9, 8.0), fill=400e6)
    ]
    bound, rate = bound_findings(bent)
    assert (bound.value, rate.verdict) == ("unknown", Verdict.UNKNOWN)
    assert "does not fit" in rate.evidence


def test_too_few_sizes_of_images_tell_nothing() -> None:
    few = [each for each in points(WriteBack(200e6, 3e9, 8.0), fill=400e6) if each.image_bytes > 6 * GB]
    bound, rate = bound_findings(few)
    assert (bound.verdict, rate.verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert "4 image sizes" in bound.evidence


def test_layer_counts_have_findings_of_their_own_beside_that_of_all() -> None:
    nine = list(points(None, 400e6))
    other = [replace(each, layers=125) for each in nine]
    found = [each for each in bound_findings([*nine, *other]) if each.id is FindingId.BOUND]
    assert [each.subject for each in found] == ["all", "9 layers", "125 layers"]


def test_of_rates_that_exclude_each_other_none_is_claimed_of_the_volume() -> None:
    """Nodes have one kind of volume: it cannot write images of few layers three times as fast as those of many."""
    nine = list(points(WriteBack(300e6, 3e9, 8.0), fill=600e6))
    many = [replace(each, layers=125) for each in points(WriteBack(100e6, 3e9, 8.0), fill=600e6)]
    assert [each.why_no_rate for each in map(bound_of, (nine, many))] == [None, None]
    found = bound_findings([*nine, *many])
    assert {each.verdict for each in found} == {Verdict.UNKNOWN}
    assert "exclude each other" in found[-1].evidence


def test_a_study_without_such_jobs_has_no_finding() -> None:
    assert bound_findings([]) == []


@pytest.mark.parametrize("rate", [132, 2000])
def test_of_simulated_volumes_the_rate_is_told_where_it_limits_and_only_there(rate: int) -> None:
    assert write_back.trial(rate, (4, 8), seed=1).right
