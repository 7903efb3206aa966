"""How far a model was off, where that is known."""

import pytest

from bench.known_truth.model_errors import whole
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.model_error import ForetoldJob, model_errors
from pullstudy.store.embedded.ledger import ForetoldPulls

SIZES = (4, 8, 16, 32, 64)


def test_a_model_that_is_right_is_rarely_called_off() -> None:
    found = [whole(1.0, SIZES, seed) for seed in range(100)]
    assert sum(each.verdict is Verdict.YES for each in found) <= 5
    assert sum(each.verdict is Verdict.NO for each in found) > 60
    coverage = [each.coverage for each in found]
    assert sum(filter(None, coverage)) / len(found) == pytest.approx(0.9, abs=0.03)


def test_a_model_that_is_off_by_a_quarter_is_called_so_and_its_interval_has_the_truth() -> None:
    found = [whole(1.25, SIZES, seed) for seed in range(100)]
    assert sum(each.verdict is Verdict.YES for each in found) >= 95
    intervals = [each.interval or (None, None) for each in found]
    held = [low is not None and high is not None and low <= 1.25 <= high for low, high in intervals]
    assert 88 <= sum(held) <= 99


def test_of_two_clusters_nothing_is_claimed() -> None:
    found = whole(1.5, (4, 8), 1)
    assert (found.verdict, found.interval) == (Verdict.UNKNOWN, None)
    assert isinstance(found.value, float)


def test_it_is_said_in_a_line_and_told_by_size_and_image() -> None:
    said = ForetoldPulls(cluster="c", job="j", model="eks", median_seconds=10.0, low_seconds=9.0, high_seconds=11.0)
    found = list(model_errors([ForetoldJob(said, 4, "app:1", [9.5, 10.2, 10.4, 12.0])]))
    assert found[0].evidence == ("model eks: median pull off by +3.0% (1 job), 75% of pulls within the 90% interval")
    assert [(each.subject, each.size, each.image) for each in found] == [
        ("all", None, None),
        ("4 nodes", 4, None),
        ("app:1", None, "app:1"),
    ]
    assert {each.coverage for each in found} == {0.75}
