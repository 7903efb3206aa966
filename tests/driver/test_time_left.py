"""How long a sweep still takes: the plan, scaled by what was seen."""

import pytest

from driver.planning.plan import Overhead
from driver.planning.time_left import ClusterLeft, TimeLeft

MADE = Overhead(make_seconds=600, delete_seconds=300)
TWO = [ClusterLeft(overhead=MADE, jobs=(60.0, 120.0)), ClusterLeft(overhead=MADE, jobs=(60.0, 120.0))]


def test_before_anything_was_seen_the_plan_is_believed() -> None:
    left = TimeLeft(TWO, 1.0)
    left.begin_cluster(0)
    assert left.of_cluster(0) == 600 + 180 + 300
    assert left.of_sweep(100) == 500 + 180 + 300 + 1080


def test_jobs_that_take_twice_as_long_as_planned_double_what_is_left_of_them() -> None:
    left = TimeLeft(TWO, 1.0)
    left.begin_cluster(0)
    left.cluster_made(500)
    left.job_ended(620)  # 120 s, planned were 60
    assert left.of_cluster(620) == 240 + 300
    assert left.of_cluster(720) == 140 + 300
    assert left.of_sweep(620) == 540 + 500 + 360 + 300  # clusters take as long to make as the one that was


def test_a_step_that_takes_longer_than_thought_is_about_to_end() -> None:
    left = TimeLeft(TWO[:1], 1.0)
    left.begin_cluster(0)
    assert left.of_sweep(5000) == 180 + 300


def test_a_simulator_s_own_time_says_nothing_until_a_job_was_seen() -> None:
    left = TimeLeft([ClusterLeft(overhead=Overhead(), jobs=(60.0, 120.0))], None)
    left.begin_cluster(0)
    left.cluster_made(1)
    assert left.of_sweep(1) is None
    left.job_ended(2)
    assert left.of_sweep(2) == pytest.approx(2)


def test_what_an_earlier_cluster_took_to_delete_is_expected_of_the_next() -> None:
    left = TimeLeft(TWO, 1.0)
    left.begin_cluster(0)
    left.cluster_made(10)
    left.job_ended(70)
    left.job_ended(190)
    left.cluster_ended(200)
    assert left.of_sweep(200) is None
    left.begin_cluster(200)
    assert left.of_sweep(200) == 10 + 180 + 10
