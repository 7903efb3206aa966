"""Bounds of nodes' clocks hold the truth, whatever it is."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullstudy.analysis.findings.clock_skew import ClockBounds, NodeClock
from pullstudy.pulls.milestone import Moment
from tests.analysis.hand_made import HandMade, image_of, timelines_in

M = Moment


def clocks_of(directory: Path, offsets: list[float], delays: list[float], pods: int = 5) -> dict[str, NodeClock]:
    """Nodes whose clocks are ahead by ``offsets``; each says Pulling its delay after Scheduled, in true time."""
    made = HandMade()
    for index, (offset, least) in enumerate(zip(offsets, delays, strict=True)):
        for pod in range(pods):
            delay = least + 0.01 * pod
            node_times = {M.PULLING: 1 + delay, M.PULLED: 6 + delay, M.CREATED: 6.1 + delay, M.STARTED: 6.2 + delay}
            times = {M.SCHEDULED: 1.0, **{moment: true + offset for moment, true in node_times.items()}}
            made.life("j", f"p{index}-{pod}", image_of(), times, node=f"node-{index}")
    made.mark("j", None, M.JOB_COMPLETED, 20)
    made.write(directory)
    return {clock.node: clock for clock in clocks_in(directory)}


def clocks_in(directory: Path) -> list[NodeClock]:
    bounds = ClockBounds()
    for job in timelines_in(directory):
        bounds.add(job)
    return bounds.clocks()


@given(
    st.lists(st.tuples(st.floats(-5, 5, allow_nan=False), st.floats(0.01, 3, allow_nan=False)), min_size=1, max_size=4)
)
@settings(max_examples=15, deadline=None)
def test_the_true_offset_lies_within_the_bounds(nodes: list[tuple[float, float]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        clocks = clocks_of(Path(directory), [offset for offset, _ in nodes], [delay for _, delay in nodes])
    for index, (offset, _) in enumerate(nodes):
        clock = clocks[f"node-{index}"]
        assert clock.at_least_seconds is not None
        assert clock.at_most_seconds is not None
        # Times in the store are cut to the microsecond.
        assert clock.at_least_seconds - 1e-5 <= offset <= clock.at_most_seconds + 1e-5


def test_a_clock_ten_minutes_off_is_certain(tmp_path: Path) -> None:
    clocks = clocks_of(tmp_path, [0, 0, -600, 600], [0.4] * 4)
    assert [clock.certainly_off for clock in clocks.values()] == [False, False, True, True]
    assert clocks["node-2"].against_others_seconds == pytest.approx(-600, abs=1e-3)
    assert clocks["node-3"].against_others_seconds == pytest.approx(600, abs=1e-3)


def test_clocks_in_step_are_as_far_apart_as_their_delays(tmp_path: Path) -> None:
    clocks = clocks_of(tmp_path, [0, 0, 0], [0.40, 0.42, 0.45])
    assert [clock.against_others_seconds for clock in clocks.values()] == pytest.approx([-0.02, 0, 0.03], abs=1e-5)
    assert not any(clock.beyond_noise for clock in clocks.values())


def test_only_clocks_that_are_off_by_more_than_delays_differ_are_beyond_the_noise(tmp_path: Path) -> None:
    delays = [0.40, 0.44, 0.47, 0.41, 0.49, 0.43]
    clocks = clocks_of(tmp_path, [0, 0, 0.05, 0, 0.6, -0.7], delays)
    assert [node for node, clock in clocks.items() if clock.beyond_noise] == ["node-4", "node-5"]


def test_the_shortest_of_few_delays_is_no_sign_of_a_clock(tmp_path: Path) -> None:
    """A pod that waited for its volume or its init containers looks like a node whose clock is ahead."""
    clocks = clocks_of(tmp_path, [0, 0, 0], [0.4, 0.4, 28.0], pods=4)
    assert [clock.against_others_seconds for clock in clocks.values()] == [None, None, None]
    assert not any(clock.beyond_noise for clock in clocks.values())


def test_a_node_of_which_only_the_end_is_known_has_one_bound(tmp_path: Path) -> None:
    made = HandMade()
    made.mark("j", "p", M.STARTED, 5)
    made.mark("j", None, M.JOB_COMPLETED, 9)
    made.write(tmp_path)
    (clock,) = clocks_in(tmp_path)
    assert clock.at_least_seconds == pytest.approx(-4, abs=1e-5)
    assert clock.at_most_seconds is None
    assert clock.against_others_seconds is None
