"""How long pods are held on their nodes, and that this keeps them apart."""

from pathlib import Path

import pytest

from driver.jobs.hold import hold_seconds
from driver.jobs.job import job_manifest
from driver.planning.study import JobPlan, Study
from pullstudy.store.embedded.ledger import PodLives
from tests.driver.sweeps import SMALL, rows, run_sweep, small_study


@pytest.mark.parametrize(("size", "held"), [(1, 0), (30, 0), (64, 2), (256, 12), (5000, 249)])
def test_of_an_image_nobody_knows_yet_pods_are_held_as_long_as_their_siblings_take_to_come(
    size: int, held: int
) -> None:
    assert hold_seconds(Study(), size, None) == held


def test_pods_that_live_long_enough_by_themselves_are_not_held() -> None:
    long, short = (PodLives(until_started_seconds=5.0, until_finished_seconds=end) for end in (16.0, 8.0))
    assert hold_seconds(Study(), 256, long) == 0
    assert hold_seconds(Study(), 256, short) == 8, "the hold begins at the start, 4 s after they had their node"
    assert hold_seconds(Study(), 128, short) == 0


def test_a_study_may_say_how_long() -> None:
    assert hold_seconds(Study(job=JobPlan(hold_seconds=2.5)), 4, None) == 3
    assert hold_seconds(Study(job=JobPlan(hold_seconds=0.0)), 5000, None) == 0


def test_the_kubelet_holds_them_whatever_the_image_has() -> None:
    spec = job_manifest(Study(), "pull-0", "scratch:1", 256, hold_seconds=14)["spec"]["template"]["spec"]
    assert spec["containers"][0]["lifecycle"] == {"postStart": {"sleep": {"seconds": 14}}}
    assert spec["terminationGracePeriodSeconds"] > 14
    free = job_manifest(Study(), "pull-0", "scratch:1", 4)["spec"]["template"]["spec"]
    assert "lifecycle" not in free["containers"][0]


async def test_each_of_100_nodes_gets_one_pod_though_their_image_is_there(tmp_path: Path) -> None:
    outcome, _ = await run_sweep(small_study(SMALL, size=100, cache="warm", repeats=2), tmp_path)
    assert outcome.failed == []
    assert rows(tmp_path, "SELECT repeat, hold_seconds FROM jobs ORDER BY 1") == [(1, 4.0), (2, 4.0)]
