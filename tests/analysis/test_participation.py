"""Which nodes took part, and which pulls were downloads: what a cluster's size and the number of pulls do not say."""

from pathlib import Path

import pytest

from pullstudy.analysis.findings.participation import Participation, participations
from pullstudy.analysis.report.facts import Facts, gather_facts
from pullstudy.analysis.report.sections import summary
from pullstudy.pulls.milestone import Moment
from tests.analysis.hand_made import HandMade, image_of, summaries_in
from tests.analysis.page_reader import Reader

ONE, TWO = image_of(9, 1_000_000_000), image_of(9, 2_000_000_000)
Pull = tuple[str, float, float, str]  # node, Pulling and Pulled, image


def made_of(directory: Path, pulls: list[Pull], size: int = 4) -> Participation:
    made = HandMade(size=size)
    for number, (node, began, over, image) in enumerate(pulls):
        times = {Moment.SCHEDULED: began, Moment.PULLING: began, Moment.PULLED: over}
        made.life("j", f"j-{number}-aaaaa", image, times, node=node)
    made.write(directory)
    (found,) = participations(summaries_in(directory))
    return found


def test_pods_that_share_a_node_leave_others_out_and_wait_for_one_download(tmp_path: Path) -> None:
    pulls = [("a", 0, 10, ONE), ("a", 1, 10.1, ONE), ("b", 0, 9, ONE), ("b", 2, 9.1, ONE)]
    found = made_of(tmp_path, pulls)
    assert (found.fewest_nodes, found.most_nodes, found.on_fewer) == (2, 2, 1)
    assert (found.downloads, found.riders, found.pulls) == (2, 2, 4)


def test_one_pod_a_node_is_no_job_on_fewer_nodes(tmp_path: Path) -> None:
    found = made_of(tmp_path, [(node, 0, 10, ONE) for node in "abcd"])
    assert (found.on_fewer, found.on_more, found.riders) == (0, 0, 0)


def test_a_job_of_two_pods_on_two_of_four_nodes_used_all_that_it_could(tmp_path: Path) -> None:
    assert made_of(tmp_path, [("a", 0, 10, ONE), ("b", 0, 10, ONE)]).on_fewer == 0


def test_a_job_on_more_nodes_than_the_cluster_is_said_to_have_is_counted(tmp_path: Path) -> None:
    assert made_of(tmp_path, [(node, 0, 10, ONE) for node in "abcd"], size=2).on_more == 1


def test_a_pull_that_began_after_the_others_download_was_over_is_one_of_its_own(tmp_path: Path) -> None:
    found = made_of(tmp_path, [("a", 0, 10, ONE), ("a", 20, 30, ONE), ("a", 25, 30, ONE)])
    assert (found.downloads, found.riders) == (2, 1)


def test_another_image_on_the_same_node_is_a_download_of_its_own(tmp_path: Path) -> None:
    made = HandMade()
    times = {Moment.PULLING: 0.0, Moment.PULLED: 10.0}
    for name, image in (("init", ONE), ("main", TWO)):
        for moment, seconds in times.items():
            made.mark("j", "p", moment, seconds, container=name)
        made.pull("j", "p", image, 10.0, finished=10, container=name)
    made.write(tmp_path)
    (found,) = participations(summaries_in(tmp_path))
    assert (found.downloads, found.riders) == (2, 0)


@pytest.mark.parametrize("node", ["a", None])
def test_the_first_screen_warns_where_the_size_is_not_the_number_of_nodes(tmp_path: Path, node: str | None) -> None:
    made = HandMade()
    for number in range(4):
        times = {Moment.PULLING: 0.0, Moment.PULLED: 10.0}
        made.life("j", f"j-{number}-aaaaa", ONE, times, node=node if node else f"n{number}")
    made.write(tmp_path)
    words = Reader("".join(map(str, summary.build(gather_facts(tmp_path)).blocks))).words()
    warned = "in the cluster of 4 nodes 1 of 1 job ran on fewer nodes (1 took part) and 3 of 4 pulls waited" in words
    assert warned == (node is not None)


def test_the_first_screen_of_the_real_logs_warns(aws: Facts) -> None:
    words = Reader("".join(map(str, summary.build(aws).blocks))).words()
    assert (
        "in the cluster of 4 nodes 6 of 6 jobs ran on fewer nodes (2 to 3 took part) and 8 of 24 pulls waited" in words
    )
