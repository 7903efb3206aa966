"""Makespans by size: what they are made of, what grows, and what is left out of the comparison."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pullstudy.analysis.findings.finding import FindingId, Verdict
from pullstudy.analysis.findings.growth import Decomposition, PhaseVerdict, decompositions
from pullstudy.analysis.findings.growth_findings import makespan_growth, phase_findings
from pullstudy.analysis.findings.growth_test import pull_growth
from pullstudy.analysis.report.facts import Facts, gather_facts
from pullstudy.analysis.report.sections import makespans
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import Moment
from pullstudy.store.embedded.ledger import JobState
from tests.analysis.hand_made import HandMade, at, image_of, summaries_in
from tests.analysis.page_reader import Reader

M = Moment
ONE, TWO = image_of(9, 1_000_000_000), image_of(9, 2_000_000_000)


def add_job(made: HandMade, image: str, begin: float, pulling: float, *, drop: Moment | None = None) -> None:
    """A job whose pull takes ``pulling`` seconds, and all else 1 s a phase."""
    job = f"j{len(made.jobs)}"
    times = {
        M.POD_CREATED: begin + 1,
        M.SCHEDULED: begin + 2,
        M.PULLING: begin + 3,
        M.PULLED: begin + 3 + pulling,
        M.CREATED: begin + 4 + pulling,
        M.STARTED: begin + 5 + pulling,
    }
    made.job(job, image, begin, begin + 6 + pulling)
    made.life(job, f"{job}-0", image, {moment: when for moment, when in times.items() if moment is not drop})


def cluster(size: int) -> HandMade:
    return HandMade(cluster=f"c-{size}", size=size)


def decomposed(directory: Path, *clusters: HandMade) -> list[Decomposition]:
    for made in clusters:
        made.write(directory)
    return decompositions(summaries_in(directory))


def test_the_parts_of_each_size_add_up_to_its_makespans(sweep: Facts) -> None:
    (decomposition,) = sweep.decompositions
    for size in decomposition.sizes:
        parts = sum(phase.seconds[size] for phase in decomposition.phases)
        makespans_at = [job.makespan_seconds or 0 for job in sweep.jobs if job.size == size]
        assert parts == pytest.approx(decomposition.makespan_seconds[size])
        assert parts == pytest.approx(sum(makespans_at))


def test_the_phase_that_grows_is_found_with_its_share(tmp_path: Path) -> None:
    clusters = []
    for size, pulling in ((4, 10.0), (8, 14.0), (16, 22.0)):
        made = cluster(size)
        add_job(made, ONE, 0, pulling)
        add_job(made, TWO, 100 + pulling, pulling)
        clusters.append(made)
    (found,) = decomposed(tmp_path, *clusters)
    grown = {phase.phase: found.share_of_increase(phase) for phase in found.phases}
    assert grown["pulling_to_pulled"] == pytest.approx(1)
    assert grown["created_to_started"] is None  # it did not get longer
    (pulling_phase,) = [phase for phase in found.phases if phase.phase == "pulling_to_pulled"]
    assert pulling_phase.per_node is not None
    assert pulling_phase.per_node.slope == pytest.approx(1)
    assert (pulling_phase.per_node.slope_low or 0) > 0
    assert found.growth_seconds == pytest.approx(24)


def test_growth_that_cut_off_times_can_make_is_no_growth(tmp_path: Path) -> None:
    """Pods' creation is known to the second: what is cut off it is counted in the next phase, more on more nodes."""
    for size, cut_off in ((4, 0.0), (8, 0.3), (12, 0.6)):
        made = cluster(size)
        add_job(made, ONE, 0, 10)
        add_job(made, TWO, 100, 10)
        made.milestones = [
            msgspec.structs.replace(mark, at=mark.at - timedelta(seconds=cut_off), resolution_seconds=1.0)
            if mark.moment is M.POD_CREATED
            else mark
            for mark in made.milestones
        ]
        made.write(tmp_path)
    facts = gather_facts(tmp_path)
    (found,) = facts.decompositions
    verdicts = dict(zip((phase.phase for phase in found.phases), found.phase_verdicts(), strict=True))
    assert verdicts["pod_created_to_scheduled"] is PhaseVerdict.UNRESOLVED
    assert verdicts["pulling_to_pulled"] is PhaseVerdict.NO
    lines = Reader("".join(map(str, makespans.build(facts).blocks))).lines()
    (row,) = [line for line in lines if line.startswith("pod created → scheduled 2.00 s")]
    assert " unresolved " in row
    assert any("straight line through 3 clusters" in line for line in lines)


def test_a_phase_that_grows_on_every_cluster_is_said_to_grow_and_another_not(tmp_path: Path) -> None:
    for size in (4, 8, 16, 32):
        made = cluster(size)
        add_job(made, ONE, 0, 10 + size)
        made.write(tmp_path)
    (found,) = decomposed(tmp_path)
    verdicts = dict(zip((phase.phase for phase in found.phases), found.phase_verdicts(), strict=True))
    assert {phase for phase, verdict in verdicts.items() if verdict is PhaseVerdict.YES} == {"pulling_to_pulled"}
    assert set(verdicts.values()) == {PhaseVerdict.YES, PhaseVerdict.NO}


def test_shares_of_a_short_run_say_how_far_off_coarse_times_make_them(tmp_path: Path) -> None:
    for size in (4, 8):
        made = cluster(size)
        add_job(made, ONE, 0, 1)
        made.milestones = [msgspec.structs.replace(mark, resolution_seconds=1.0) for mark in made.milestones]
        made.write(tmp_path)
    (found,) = decomposed(tmp_path)
    assert "pulling → pulled (14.3%, off by at most 1.00 s)" in makespans.answer(found)


def test_what_got_shorter_takes_no_share_from_what_got_longer(tmp_path: Path) -> None:
    """Pulling takes 20 s more, and starting 8 s less: shares of the difference would be 167% and -67%."""
    for size, pulling, starting in ((4, 10.0, 9.0), (8, 30.0, 1.0)):
        made = cluster(size)
        made.job("j", ONE, 0, 4 + pulling + starting)
        times = {M.POD_CREATED: 1, M.PULLING: 2, M.PULLED: 2 + pulling, M.STARTED: 2 + pulling + starting}
        made.life("j", "j-0", ONE, times)
        made.write(tmp_path)
    (found,) = decompositions(summaries_in(tmp_path))
    assert found.growth_seconds == pytest.approx(12)
    shares = {phase.phase: found.share_of_increase(phase) for phase in found.phases}
    assert shares == {
        "job_created_to_pod_created": None,
        "pod_created_to_pulling": None,
        "pulling_to_pulled": pytest.approx(1),
        "pulled_to_started": None,
        "started_to_job_completed": None,
    }
    said = makespans.answer(found)
    assert "pulling → pulled (100.0%, 20.0 s more); pulled → started took 8.00 s less." in said


def test_makespans_are_cut_where_the_jobs_of_one_size_lack_their_end(tmp_path: Path) -> None:
    """At 8 nodes no completion is known: what comes after the start at 4 nodes is no growth."""
    for size, ends in ((4, True), (8, False)):
        made = cluster(size)
        add_job(made, ONE, 0, 10)
        add_job(made, TWO, 100, 20)
        if not ends:
            made.jobs = [msgspec.structs.replace(row, completed_at=None) for row in made.jobs]
        made.write(tmp_path)
    (found,) = decompositions(summaries_in(tmp_path))
    assert found.until is M.STARTED
    assert found.makespan_seconds == {4: pytest.approx(40), 8: pytest.approx(40)}
    assert found.left_out == 0
    assert "until the last container was started" in makespans.answer(found)


def test_a_makespan_that_is_cut_ends_with_the_container_that_came_last_to_the_cut(tmp_path: Path) -> None:
    """Pod a starts last, pod b ends last: until started it is a's path, until completed b's."""
    made = cluster(4)
    made.mark("j", None, M.JOB_COMPLETED, 30)
    made.life("j", "j-0-aaaaa", ONE, {M.SCHEDULED: 0, M.PULLED: 15, M.STARTED: 16, M.FINISHED: 17})
    made.life("j", "j-1-bbbbb", ONE, {M.SCHEDULED: 0, M.PULLED: 5, M.STARTED: 6, M.FINISHED: 29})
    made.write(tmp_path)
    (job,) = summaries_in(tmp_path)
    seconds = {cut: [segment.seconds for segment in path] for cut, path in job.paths.items()}
    assert seconds == {
        M.JOB_COMPLETED: [5, 1, 23, 1],
        M.FINISHED: [5, 1, 23],
        M.STARTED: [15, 1],
        M.PULLED: [15],
    }


def test_a_moment_before_the_one_that_it_follows_is_moved_and_no_sum_is_below_zero(tmp_path: Path) -> None:
    """The node's clock is 3 s behind: it says Pulling 2 s before the pod was scheduled."""
    made = cluster(4)
    made.mark("j", None, M.JOB_COMPLETED, 20)
    made.life("j", "j-0-aaaaa", ONE, {M.POD_CREATED: 0, M.SCHEDULED: 5, M.PULLING: 3, M.PULLED: 10, M.STARTED: 11})
    made.write(tmp_path)
    (found,) = decompositions(summaries_in(tmp_path))
    assert {phase.phase: phase.seconds[4] for phase in found.phases} == {
        "pod_created_to_scheduled": 5,
        "scheduled_to_pulling": 0,
        "pulling_to_pulled": 5,
        "pulled_to_started": 1,
        "started_to_job_completed": 9,
    }
    assert found.moved_seconds == pytest.approx(2)


def test_a_job_that_ends_before_it_begins_by_its_clocks_has_no_makespan(tmp_path: Path) -> None:
    made = cluster(4)
    made.life("j", "j-0-aaaaa", ONE, {M.PULLING: 30, M.PULLED: 40, M.STARTED: 41})
    made.job("j", ONE, 0, 20)
    made.jobs[0] = msgspec.structs.replace(made.jobs[0], created_at=at(25))
    made.write(tmp_path)
    (job,) = summaries_in(tmp_path)
    assert (job.makespan_seconds, job.path) == (None, ())


def test_an_image_that_one_size_did_not_pull_is_left_out_and_counted(tmp_path: Path) -> None:
    small, large = cluster(4), cluster(8)
    add_job(small, ONE, 0, 10)
    add_job(small, TWO, 50, 10)
    add_job(large, ONE, 0, 10)
    (found,) = decomposed(tmp_path, small, large)
    assert (found.workloads, found.left_out) == ((ONE,), 1)


def test_a_job_without_a_moment_that_the_others_have_is_left_out(tmp_path: Path) -> None:
    small, large = cluster(4), cluster(8)
    for made in (small, large):
        add_job(made, ONE, 0, 10)
        add_job(made, TWO, 50, 10)
    add_job(large, image_of(9, 3_000_000_000), 100, 10, drop=M.PULLING)
    (found,) = decomposed(tmp_path, small, large)
    assert found.left_out == 1
    assert set(found.workloads) == {ONE, TWO}


def test_a_moment_that_one_size_never_saw_is_joined_over_at_every_size(tmp_path: Path) -> None:
    small, large = cluster(4), cluster(8)
    add_job(small, ONE, 0, 10)
    add_job(large, ONE, 0, 10, drop=M.PULLING)
    (found,) = decomposed(tmp_path, small, large)
    names = [phase.phase for phase in found.phases]
    assert "scheduled_to_pulled" in names
    assert "pulling_to_pulled" not in names
    assert found.makespan_seconds == {4: pytest.approx(16), 8: pytest.approx(16)}


def test_warm_and_cold_jobs_are_never_compared(tmp_path: Path) -> None:
    made = cluster(4)
    for begin, state in ((0.0, CacheState.COLD), (50.0, CacheState.WARM)):
        job = f"j{len(made.jobs)}"
        add_job(made, ONE, begin, 10)
        made.cache(job, "node-0", state)
    cold, warm = decomposed(tmp_path, made)
    assert (cold.cache, warm.cache) == ("cold", "warm")
    assert (cold.makespan_seconds, warm.makespan_seconds) == ({4: pytest.approx(16)}, {4: pytest.approx(16)})


def test_a_failed_job_is_left_out(tmp_path: Path) -> None:
    made = cluster(4)
    add_job(made, ONE, 0, 10)
    add_job(made, TWO, 50, 10)
    made.jobs[1] = msgspec.structs.replace(made.jobs[1], state=JobState.FAILED)
    (found,) = decomposed(tmp_path, made)
    assert (found.workloads, found.left_out) == ((ONE,), 1)


def test_repeats_count_as_their_mean(tmp_path: Path) -> None:
    made = cluster(4)
    add_job(made, ONE, 0, 10)
    add_job(made, ONE, 100, 20)
    (found,) = decomposed(tmp_path, made)
    (pulling,) = [phase for phase in found.phases if phase.phase == "pulling_to_pulled"]
    assert pulling.seconds == {4: pytest.approx(15)}


def test_growth_over_sizes_is_a_finding_with_its_interval_and_what_it_rests_on(tmp_path: Path) -> None:
    """Each doubling takes 1.5 times as long, but for half a percent a cluster."""
    for place, (size, off) in enumerate(((4, 0.995), (8, 1.005), (16, 0.995), (32, 1.005))):
        made = cluster(size)
        for number, image in enumerate((ONE, TWO)):
            add_job(made, image, number * 1000, 100 * 1.5**place * off - 6)
        made.write(tmp_path)
    (finding,) = makespan_growth(decompositions(summaries_in(tmp_path)))
    assert (finding.value, finding.n, finding.counts) == (pytest.approx(1.5, abs=0.01), 4, "clusters")
    assert finding.verdict is Verdict.YES
    assert finding.interval is not None
    low, high = finding.interval
    assert low is not None
    assert high is not None
    assert 1.45 < low < 1.5 < high < 1.55


def test_pulls_and_makespans_of_two_clusters_cannot_tell(aws: Facts, tmp_path: Path) -> None:
    for size, pulling in ((4, 10.0), (8, 20.0)):
        made = cluster(size)
        add_job(made, ONE, 0, pulling)
        made.write(tmp_path)
    jobs = summaries_in(tmp_path)
    found = [*makespan_growth(decompositions(jobs)), *pull_growth(jobs)]
    assert [(each.id, each.verdict, each.interval) for each in found] == [
        (FindingId.MAKESPAN_GROWTH, Verdict.UNKNOWN, None),
        (FindingId.PULL_GROWTH, Verdict.UNKNOWN, None),
    ]
    assert [each.value for each in found] == [None, None]


def test_the_real_pulls_do_not_grow_to_16_nodes(aws: Facts) -> None:
    finding, *_ = pull_growth(aws.jobs)
    assert finding.value == pytest.approx(1.0, abs=0.01)
    assert finding.verdict is not Verdict.YES


def test_phases_are_findings_that_add_up_to_the_makespans(aws: Facts) -> None:
    (decomposition,) = aws.decompositions
    found = list(phase_findings(aws.decompositions))
    assert {finding.n for finding in found} == {6}
    at_16 = [finding.value for finding in found if finding.size == 16]
    assert sum(value for value in at_16 if isinstance(value, float)) == pytest.approx(
        decomposition.makespan_seconds[16]
    )


def test_the_chart_of_many_images_shows_the_longest_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    made = cluster(4)
    for number in range(45):
        add_job(made, image_of(9, (45 - number) * 100_000_000), 1000 * number, 1 + number)
    made.write(tmp_path)
    (_, figure) = makespans.build(gather_facts(tmp_path)).figures
    assert figure.caption == "One job, or the mean of its repeats; the 40 longest of 45."
    shown = figure.spec["encoding"]["y"]["sort"]
    assert (len(shown), shown[0], shown[-1]) == (40, "100 MB, 9 layers", "4 GB, 9 layers")


def test_makespans_that_got_shorter_are_said_to(tmp_path: Path) -> None:
    for size, pulling in ((4, 30.0), (8, 10.0)):
        made = cluster(size)
        add_job(made, ONE, 0, pulling)
        made.write(tmp_path)
    (found,) = decompositions(summaries_in(tmp_path))
    assert "36.0 s in the cluster of 4 nodes and 16.0 s in that of 8, 20.0 s less." in makespans.answer(found)
