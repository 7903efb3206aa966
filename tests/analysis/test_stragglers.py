"""Stragglers and slow nodes."""

import random
from pathlib import Path

import pytest

from bench.known_truth import blame
from bench.known_truth import stragglers as trials
from pullstudy.analysis.findings.finding import Verdict
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


def test_a_pod_that_the_controller_made_late_is_no_straggler_and_the_controller_is_named(tmp_path: Path) -> None:
    made = HandMade(size=8)
    made.job("j0", image_of(), 0, 30)
    for index in range(8):
        begin = 10.0 * (index >= 4)
        times = {Moment.SCHEDULED: begin, Moment.PULLING: begin + 0.5, Moment.STARTED: begin + 10.5 + index / 100}
        made.life("j0", f"j0-{index}", image_of(), times, node=f"node-{index}")
    made.write(tmp_path)
    found = Stragglers()
    for job in timelines_in(tmp_path):
        found.add(job)
    assert [spread.stragglers for spread in found.spreads] == [()]
    controller = found.findings()[-1]
    assert (controller.subject, controller.size, controller.value) == ("controller", 8, pytest.approx(10))


def test_pods_whose_first_pulling_is_lost_are_not_compared_with_those_that_have_it(tmp_path: Path) -> None:
    """An init container pulls for 20 s first. Without its "Pulling" a pod's time is the main container's alone."""
    made = HandMade(size=8)
    made.job("j0", image_of(), 0, 60)
    for index in range(8):
        pod, node = f"j0-{index}", f"node-{index}"
        made.mark("j0", pod, Moment.SCHEDULED, 0.1, node=node)
        if index < 3:
            made.mark("j0", pod, Moment.PULLING, 0.2, node=node, container="init")
            made.mark("j0", pod, Moment.STARTED, 20.2, node=node, container="init")
        made.life("j0", pod, image_of(), {Moment.PULLING: 20.5, Moment.PULLED: 41.0, Moment.STARTED: 41.2}, node=node)
    made.write(tmp_path)
    found = Stragglers()
    for job in timelines_in(tmp_path):
        found.add(job)
    assert [(spread.pods, spread.stragglers) for spread in found.spreads] == [(5, ())]
    assert [each.verdict for each in found.findings()] == [Verdict.NO]


def test_a_pull_of_nearly_twice_its_jobs_median_is_found_however_many_pods_there_are(tmp_path: Path) -> None:
    source = random.Random(5)
    starts = [10 * source.lognormvariate(0, 0.08) for _ in range(127)]
    (spread,) = stragglers(tmp_path, [*starts, 19.5]).spreads
    assert [each.node for each in spread.stragglers] == ["node-127"]


def test_one_slow_pull_blames_nobody_and_a_node_that_is_slow_in_several_jobs_is_named(tmp_path: Path) -> None:
    once = stragglers(tmp_path / "once", [10, 10, 10, 10, 30]).findings()
    assert once[0].subject == "pull of pod j0-4"
    assert "one pull cannot tell" in once[0].evidence
    often = stragglers(tmp_path / "often", [10, 10, 10, 10, 15], [20, 20, 20, 20, 30]).findings()
    assert [(each.node, each.verdict) for each in often] == [("node-4", Verdict.YES)]
    assert often[0].value == pytest.approx(1.5, rel=0.01)
    mixed = stragglers(tmp_path / "mixed", [10, 10, 10, 10, 30], [20, 20, 20, 20, 20]).findings()
    assert [each.subject for each in mixed] == ["pull of pod j0-4"]


def test_an_image_with_most_of_the_stragglers_is_named(tmp_path: Path) -> None:
    made = HandMade(size=6)
    slow, others = "slow.example/x:1", [f"other.example/x:{number}" for number in range(9)]
    for number, image in enumerate([slow] * 4 + others):
        begin = 1000.0 * number
        made.job(f"j{number}", image, begin, begin + 40)
        for index in range(6):
            took = 30 if image == slow and index in (number, number + 1) else 10
            times = {Moment.PULLING: begin, Moment.PULLED: begin + took - 0.1, Moment.STARTED: begin + took}
            made.life(f"j{number}", f"j{number}-{index}", image, times, node=f"node-{index}")
    made.write(tmp_path)
    found = Stragglers()
    for job in timelines_in(tmp_path):
        found.add(job)
    assert {each.subject for each in found.findings()} == {f"image {slow}"}  # the only one of its registry


def test_where_nothing_is_slow_that_is_said(tmp_path: Path) -> None:
    (finding,) = stragglers(tmp_path, [10, 10.5, 9.8, 10.1]).findings()
    assert (finding.subject, finding.verdict, finding.n) == ("all", Verdict.NO, 4)
    assert Stragglers().findings() == []


@pytest.mark.parametrize("size", [4, 64])
def test_simulated_nodes_that_are_slow_are_found_and_no_others(size: int) -> None:
    tried = list(trials.study_trials(size, 1.5, seed=1))
    nodes = [trial for trial in tried if trial.truth.startswith("node")]
    assert all(trial.right for trial in nodes)
    assert sum(trial.right is False for trial in tried) <= len(tried) / 200


def test_a_job_of_too_few_pods_tells_nothing(tmp_path: Path) -> None:
    assert stragglers(tmp_path, [10.0] * (LEAST_PODS - 1)).spreads == []


def test_a_node_that_is_slow_in_every_job_comes_first(tmp_path: Path) -> None:
    slowest = stragglers(tmp_path, [10, 10, 10, 10, 30], [20, 20, 20, 45, 50]).slowest_nodes()[0]
    assert (slowest.node, slowest.straggled) == ("node-4", 2)
    assert slowest.median_excess_seconds == pytest.approx(25)
    assert slowest.worst_excess_seconds == pytest.approx(30)


@pytest.mark.parametrize("cause", blame.CAUSES)
def test_a_slow_image_a_slow_registry_and_a_slow_controller_are_named_and_nothing_else(cause: str) -> None:
    found = [trial for seed in range(4) for trial in blame.study_trials(64, cause, seed)]
    assert len(found) == (4 if cause == "nothing" else 8)
    assert all(trial.right for trial in found)
