"""Stragglers and slow nodes."""

from pathlib import Path

import pytest

from pullstudy.analysis.findings.stragglers import LEAST_PODS, job_spreads, slowest_nodes
from pullstudy.analysis.reading.study import read_study
from pullstudy.analysis.timelines.assembly import build_timelines
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.milestone import Moment
from tests.analysis.hand_made import HandMade, image_of


def jobs_with_starts(directory: Path, *jobs: list[float]) -> list[JobTimeline]:
    """A job a list; its i-th pod runs on node-i and starts that long after the job's creation."""
    made = HandMade()
    for number, starts in enumerate(jobs):
        begin = 1000 * number
        made.job(f"j{number}", image_of(), begin, begin + max(starts) + 1)
        for index, start in enumerate(starts):
            times = {Moment.SCHEDULED: begin + 0.1, Moment.PULLED: begin + start - 0.1, Moment.STARTED: begin + start}
            made.life(f"j{number}", f"j{number}-{index}", image_of(), times, node=f"node-{index}")
    made.write(directory)
    return build_timelines(read_study(directory))


def test_a_pod_far_beyond_its_job_is_a_straggler_and_its_cost_is_known(tmp_path: Path) -> None:
    (spread,) = job_spreads(jobs_with_starts(tmp_path, [10, 10.1, 10.2, 10.1, 25]))
    (straggler,) = spread.stragglers
    assert straggler.node == "node-4"
    assert straggler.excess_seconds == pytest.approx(14.9)
    assert spread.cost_seconds == pytest.approx(14.9)
    assert spread.makespan_seconds == pytest.approx(26)


def test_pods_that_are_nearly_alike_have_no_straggler(tmp_path: Path) -> None:
    """All but one the same to the millisecond: by deviations alone 0.1 s would stand out."""
    (spread,) = job_spreads(jobs_with_starts(tmp_path, [10, 10, 10, 10, 10.1]))
    assert spread.stragglers == ()


def test_a_job_of_too_few_pods_tells_nothing(tmp_path: Path) -> None:
    assert job_spreads(jobs_with_starts(tmp_path, [10.0] * (LEAST_PODS - 1))) == []


def test_a_node_that_is_slow_in_every_job_comes_first(tmp_path: Path) -> None:
    jobs = jobs_with_starts(tmp_path, [10, 10, 10, 10, 30], [20, 20, 20, 45, 50])
    slowest = slowest_nodes(jobs)[0]
    assert (slowest.node, slowest.straggled) == ("node-4", 2)
    assert slowest.median_excess_seconds == pytest.approx(25)
    assert slowest.worst_excess_seconds == pytest.approx(30)
