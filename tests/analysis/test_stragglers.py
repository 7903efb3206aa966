"""Stragglers and slow nodes."""

from pathlib import Path

import pytest

from pullstudy.analysis.findings.stragglers import LEAST_PODS, Stragglers
from pullstudy.pulls.milestone import Moment
from tests.analysis.hand_made import HandMade, image_of, timelines_in


def stragglers(directory: Path, *jobs: list[float]) -> Stragglers:
    """A job a list; its i-th pod runs on node-i and starts that long after the job's creation."""
    made = HandMade()
    for number, starts in enumerate(jobs):
        begin = 1000 * number
        made.job(f"j{number}", image_of(), begin, begin + max(starts) + 1)
        for index, start in enumerate(starts):
            times = {Moment.SCHEDULED: begin + 0.1, Moment.PULLED: begin + start - 0.1, Moment.STARTED: begin + start}
            made.life(f"j{number}", f"j{number}-{index}", image_of(), times, node=f"node-{index}")
    made.write(directory)
    found = Stragglers()
    for job in timelines_in(directory):
        found.add(job)
    return found


def test_a_pod_far_beyond_its_job_is_a_straggler_and_its_cost_is_known(tmp_path: Path) -> None:
    (spread,) = stragglers(tmp_path, [10, 10.1, 10.2, 10.1, 25]).spreads
    (straggler,) = spread.stragglers
    assert straggler.node == "node-4"
    assert straggler.excess_seconds == pytest.approx(14.9)
    assert spread.cost_seconds == pytest.approx(14.9)
    assert spread.makespan_seconds == pytest.approx(26)


def test_pods_that_are_nearly_alike_have_no_straggler(tmp_path: Path) -> None:
    """All but one the same to the millisecond: by deviations alone 0.1 s would stand out."""
    (spread,) = stragglers(tmp_path, [10, 10, 10, 10, 10.1]).spreads
    assert spread.stragglers == ()


def test_a_job_of_too_few_pods_tells_nothing(tmp_path: Path) -> None:
    assert stragglers(tmp_path, [10.0] * (LEAST_PODS - 1)).spreads == []


def test_a_node_that_is_slow_in_every_job_comes_first(tmp_path: Path) -> None:
    slowest = stragglers(tmp_path, [10, 10, 10, 10, 30], [20, 20, 20, 45, 50]).slowest_nodes()[0]
    assert (slowest.node, slowest.straggled) == ("node-4", 2)
    assert slowest.median_excess_seconds == pytest.approx(25)
    assert slowest.worst_excess_seconds == pytest.approx(30)
