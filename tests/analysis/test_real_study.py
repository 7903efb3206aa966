"""The study's own figures, and what its real logs say about where the time goes."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from pullstudy.analysis.findings.bound import bound_findings
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.participation import participations
from pullstudy.analysis.findings.schedule import cluster_schedules
from pullstudy.analysis.findings.similarity import mean_and_deviation, pairs
from pullstudy.analysis.findings.writeback import steps
from pullstudy.analysis.reading.layers import Layer, choose_tags, read_layers, read_tags, shared_by_all, without
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.timelines.phases import phase_rows
from tests.analysis.hand_made import timelines_in


@pytest.fixture
def chosen(aws_directory: Path, study_data: Path) -> list[Layer]:
    """The layers of the 32 images that the study compared."""
    tags = read_tags(study_data / "pulling-aws" / "container-similarity.csv")
    return choose_tags(read_layers(aws_directory), tags)


def test_the_layer_table_without_the_shared_base_has_the_figures_of_the_study(chosen: list[Layer]) -> None:
    own = without(chosen, shared_by_all(chosen))
    assert len(own) == 2112
    assert len({layer.repository for layer in own}) == 1
    assert len({layer.image for layer in own}) == 32
    assert len({layer.digest for layer in own}) == 2112


def test_the_similarities_have_mean_and_deviation_of_the_study_to_the_last_digit(chosen: list[Layer]) -> None:
    found = pairs(chosen)
    digest = mean_and_deviation(pair.digest_similarity for pair in found)
    content = mean_and_deviation(pair.content_similarity for pair in found)
    assert (digest.mean, digest.std) == (0.03125, 0.17399263633843817)
    assert (content.mean, content.std) == (0.04973742826236392, 0.17210235537054003)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("container-similarity.csv", "digest_similarity"),
        ("container-layer-content-similarity.csv", "content_similarity"),
    ],
)
def test_every_cell_of_a_similarity_matrix_is_that_of_the_study(
    chosen: list[Layer], study_data: Path, name: str, field: str
) -> None:
    with (study_data / "pulling-aws" / name).open(newline="") as file:
        header, *rows = csv.reader(file)
    tags = [cell.rpartition(":")[2] for cell in header[1:]]
    expected = {
        (row[0].rpartition(":")[2], tag): float(cell) for row in rows for tag, cell in zip(tags, row[1:], strict=True)
    }
    found = {
        (pair.image.rpartition(":")[2], pair.other_image.rpartition(":")[2]): getattr(pair, field)
        for pair in pairs(chosen)
    }
    assert found == expected


def test_bytes_weigh_the_shared_base_unlike_the_studys_content_similarity(chosen: list[Layer]) -> None:
    # The base is 2.2 MB compressed, the whole of the smallest image 2.3 MB: by bytes small images are much alike.
    assert max(pair.bytes_similarity for pair in pairs(chosen) if pair.image != pair.other_image) > 0.9
    assert mean_and_deviation(pair.bytes_similarity for pair in pairs(chosen)).mean == pytest.approx(0.68357, abs=1e-5)


def test_every_image_has_one_job_a_size_though_all_jobs_have_one_name(aws: Facts) -> None:
    assert {job.job for job in aws.jobs} == {"container-pull"}
    assert sorted((job.size, job.containers) for job in aws.jobs) == sorted([(4, 4), (8, 8), (16, 16)] * 6)


def test_critical_paths_add_up_to_their_makespans(aws: Facts) -> None:
    for job in aws.jobs:
        assert sum(segment.seconds for segment in job.path) == pytest.approx(job.makespan_seconds)


def test_up_to_16_nodes_makespans_do_not_grow_and_two_fifths_of_them_follow_the_start(aws: Facts) -> None:
    (decomposition,) = aws.decompositions
    assert decomposition.left_out == 0
    assert {size: round(seconds) for size, seconds in decomposition.makespan_seconds.items()} == {
        4: 488,
        8: 483,
        16: 488,
    }
    shares = {phase.phase: phase.seconds[16] / decomposition.makespan_seconds[16] for phase in decomposition.phases}
    assert shares["pulling_to_pulled"] == pytest.approx(0.546, abs=0.001)
    assert shares["started_to_job_completed"] == pytest.approx(0.430, abs=0.001)
    assert not decomposition.grew


def test_the_study_itself_took_a_fiftieth_of_the_wall_time(aws: Facts) -> None:
    schedules = cluster_schedules(aws.jobs)
    assert [round(each.wall_seconds) for each in schedules] == [497, 491, 499]
    assert [round(100 * each.own_seconds / each.wall_seconds, 1) for each in schedules] == [1.8, 1.8, 2.1]
    assert not any(each.overlap_seconds or each.pauses or each.unknown_seconds for each in schedules)


def test_most_jobs_ran_on_fewer_nodes_than_their_cluster_had(aws: Facts) -> None:
    found = participations(aws.jobs)
    assert [(each.size, each.fewest_nodes, each.most_nodes, each.on_fewer) for each in found] == [
        (4, 2, 3, 6),
        (8, 6, 8, 5),
        (16, 14, 15, 6),
    ]
    assert [(each.downloads, each.riders) for each in found] == [(16, 8), (41, 7), (86, 10)]


def test_the_volumes_of_the_real_logs_bound_the_makespan_at_a_rate_that_holds_the_limit_of_gp2(aws: Facts) -> None:
    bound, rate = bound_findings(aws.points)
    assert (bound.value, bound.verdict, bound.n) == ("write-back", Verdict.YES, 18)
    assert rate.verdict is Verdict.YES
    assert rate.value == pytest.approx(135.6e6, rel=1e-3)
    assert rate.interval is not None
    low, high = rate.interval
    assert low is not None
    assert high is not None
    assert low < 128 * 1024 * 1024 < high < 1.12 * low


def test_the_pulls_themselves_come_down_to_that_rate_beyond_ten_gigabytes(aws: Facts) -> None:
    rates = [round((step.pull_rate or 0) / 1e6) for step in steps(aws.points)]
    assert rates == [363, 335, 154, 132, 131]


def flags_in(directory: Path) -> Counter[str]:
    """How often each flag stands in the rows of phases."""
    return Counter(flag for row in phase_rows(timelines_in(directory)) for flag in row.flags.split())


def test_several_pods_of_a_job_shared_a_node_and_its_pull(aws_directory: Path) -> None:
    flags = flags_in(aws_directory)
    assert (flags["shares-node"], flags["shared-pull"]) == (47, 25)


def test_no_phase_of_the_real_logs_is_negative(aws_directory: Path) -> None:
    assert not [flag for flag in flags_in(aws_directory) if flag.startswith(("negative", "unresolved"))]


def test_lost_events_leave_moments_missing_and_make_no_false_ones(lossy_directory: Path) -> None:
    flags = flags_in(lossy_directory)
    # Of 29 containers and of the last ones of two jobs, of which no Pulled event is left.
    assert flags["missing:pulled"] == 31
    assert flags["image-inferred"] == 11
    jobs = timelines_in(lossy_directory)
    assert sorted(job.number for job in jobs if job.size == 8 and job.image is None) == [29, 30]
    # One pod's Scheduled was stamped 6.3 ms before the job controller's Created pod: both are the control plane's.
    assert {flag: count for flag, count in flags.items() if flag.startswith("negative")} == {
        "negative:pod_created_to_scheduled": 1
    }
