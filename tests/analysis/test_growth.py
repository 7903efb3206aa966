"""Wall time by size: what it is made of, what grows, and what is left out of the comparison."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pullstudy.analysis.findings.growth import BETWEEN_JOBS, UNTIL_DELETED, UNTIL_NEXT, Decomposition, decompositions
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


def test_the_parts_of_each_size_add_up_to_its_wall_time(sweep: Facts) -> None:
    (decomposition,) = sweep.decompositions
    for size in decomposition.sizes:
        parts = sum(phase.seconds[size] for phase in decomposition.phases)
        ends = [job.end.at for job in sweep.jobs if job.size == size and job.end]
        starts = [job.start.at for job in sweep.jobs if job.size == size and job.start]
        assert parts == pytest.approx(decomposition.wall_seconds[size])
        assert parts == pytest.approx((max(ends) - min(starts)).total_seconds())


def test_the_phase_that_grows_is_found_with_its_share(tmp_path: Path) -> None:
    clusters = []
    for size, pulling in ((4, 10.0), (8, 14.0), (16, 22.0)):
        made = cluster(size)
        add_job(made, ONE, 0, pulling)
        add_job(made, TWO, 100 + pulling, pulling)
        clusters.append(made)
    (found,) = decomposed(tmp_path, *clusters)
    grown = {phase.phase: found.share_of_growth(phase) for phase in found.phases}
    assert grown["pulling_to_pulled"] == pytest.approx(1)
    assert grown[BETWEEN_JOBS] == pytest.approx(0)
    (pulling_phase,) = [phase for phase in found.phases if phase.phase == "pulling_to_pulled"]
    assert pulling_phase.per_node is not None
    assert pulling_phase.per_node.slope == pytest.approx(1)
    assert pulling_phase.per_node.grows
    assert found.growth_seconds == pytest.approx(24)


def test_growth_that_cut_off_times_can_make_is_no_growth(tmp_path: Path) -> None:
    """At 16 nodes the pods' creation is known to the second only: what is cut off it is counted in the next phase."""
    for size, coarse in ((4, False), (8, False), (16, True)):
        made = cluster(size)
        add_job(made, ONE, 0, 10)
        add_job(made, TWO, 100, 10)
        if coarse:
            made.milestones = [
                msgspec.structs.replace(mark, at=mark.at - timedelta(seconds=0.9), resolution_seconds=1.0)
                if mark.moment is M.POD_CREATED
                else mark
                for mark in made.milestones
            ]
        made.write(tmp_path)
    facts = gather_facts(tmp_path)
    (found,) = facts.decompositions
    phases = {phase.phase: phase for phase in found.phases}
    scheduled = phases["pod_created_to_scheduled"]
    assert scheduled.per_node is not None
    assert scheduled.per_node.grows
    assert not scheduled.resolved(4, 16)
    lines = Reader("".join(map(str, makespans.build(facts).blocks))).lines()
    (row,) = [line for line in lines if line.startswith("pod created → scheduled 2.00 s")]
    assert " unresolved " in row
    assert any(
        "straight line over 3 sizes" in line and f"{len(found.phases)} are tested here" in line for line in lines
    )


def test_shares_of_a_short_run_say_how_far_off_coarse_times_make_them(tmp_path: Path) -> None:
    for size in (4, 8):
        made = cluster(size)
        add_job(made, ONE, 0, 1)
        made.milestones = [msgspec.structs.replace(mark, resolution_seconds=1.0) for mark in made.milestones]
        made.write(tmp_path)
    (found,) = decomposed(tmp_path)
    assert "pulling → pulled (14.3%, off by at most 1.00 s)" in makespans.answer(found)


def test_time_between_jobs_is_counted_with_the_job_before_it(tmp_path: Path) -> None:
    made = cluster(4)
    add_job(made, ONE, 0, 10)  # ends at 16
    add_job(made, TWO, 50, 10)
    (found,) = decomposed(tmp_path, made)
    (between,) = [phase for phase in found.phases if phase.phase == BETWEEN_JOBS]
    assert between.seconds == {4: pytest.approx(34)}
    assert between.per_node is None  # one size tells of no growth


def test_time_between_jobs_is_parted_where_the_deletion_is_known(tmp_path: Path) -> None:
    made = cluster(4)
    add_job(made, ONE, 0, 10)  # ends at 16
    add_job(made, TWO, 50, 10)
    made.jobs[0] = msgspec.structs.replace(made.jobs[0], deleted_at=at(30))
    (found,) = decomposed(tmp_path, made)
    seconds = {phase.phase: phase.seconds[4] for phase in found.phases}
    assert seconds[UNTIL_DELETED] == pytest.approx(14)
    assert seconds[UNTIL_NEXT] == pytest.approx(20)
    assert BETWEEN_JOBS not in seconds
    assert found.wall_seconds[4] == pytest.approx(66)


def test_an_image_that_one_size_did_not_pull_is_left_out_and_counted(tmp_path: Path) -> None:
    small, large = cluster(4), cluster(8)
    add_job(small, ONE, 0, 10)
    add_job(small, TWO, 50, 10)
    add_job(large, ONE, 0, 10)
    (found,) = decomposed(tmp_path, small, large)
    assert (found.images, found.left_out) == ((ONE,), 1)


def test_a_job_without_a_moment_that_the_others_have_is_left_out(tmp_path: Path) -> None:
    small, large = cluster(4), cluster(8)
    for made in (small, large):
        add_job(made, ONE, 0, 10)
        add_job(made, TWO, 50, 10)
    add_job(large, image_of(9, 3_000_000_000), 100, 10, drop=M.PULLING)
    (found,) = decomposed(tmp_path, small, large)
    assert found.left_out == 1
    assert set(found.images) == {ONE, TWO}


def test_a_moment_that_one_size_never_saw_is_joined_over_at_every_size(tmp_path: Path) -> None:
    small, large = cluster(4), cluster(8)
    add_job(small, ONE, 0, 10)
    add_job(large, ONE, 0, 10, drop=M.PULLING)
    (found,) = decomposed(tmp_path, small, large)
    names = [phase.phase for phase in found.phases]
    assert "scheduled_to_pulled" in names
    assert "pulling_to_pulled" not in names
    assert found.wall_seconds == {4: pytest.approx(16), 8: pytest.approx(16)}


def test_warm_and_cold_jobs_are_never_compared(tmp_path: Path) -> None:
    made = cluster(4)
    for begin, state in ((0.0, CacheState.COLD), (50.0, CacheState.WARM)):
        job = f"j{len(made.jobs)}"
        add_job(made, ONE, begin, 10)
        made.cache(job, "node-0", state)
    cold, warm = decomposed(tmp_path, made)
    assert (cold.cache, warm.cache) == ("cold", "warm")
    assert cold.wall_seconds[4] == pytest.approx(50)  # with the time until the warm job began
    assert warm.wall_seconds[4] == pytest.approx(16)


def test_a_failed_job_is_left_out(tmp_path: Path) -> None:
    made = cluster(4)
    add_job(made, ONE, 0, 10)
    add_job(made, TWO, 50, 10)
    made.jobs[1] = msgspec.structs.replace(made.jobs[1], state=JobState.FAILED)
    (found,) = decomposed(tmp_path, made)
    assert (found.images, found.left_out) == ((ONE,), 1)


def test_repeats_count_as_their_mean(tmp_path: Path) -> None:
    made = cluster(4)
    add_job(made, ONE, 0, 10)
    add_job(made, ONE, 100, 20)
    (found,) = decomposed(tmp_path, made)
    (pulling,) = [phase for phase in found.phases if phase.phase == "pulling_to_pulled"]
    assert pulling.seconds == {4: pytest.approx(15)}
