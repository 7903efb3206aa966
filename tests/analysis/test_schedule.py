"""The wall time of a cluster: jobs that overlap, pauses, deletions, and ends that are not on record."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.findings.schedule import ClusterSchedule, cluster_schedules
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.report.sections import wall_time
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.analysis.timelines.timeline import Timestamp
from pullstudy.pulls.milestone import CONTROL_PLANE, Moment, Witness
from tests.analysis.hand_made import HandMade, at, image_of, summaries_in

ONE = image_of()


def scheduled(directory: Path, jobs: list[tuple[float, float | None, float | None]]) -> ClusterSchedule:
    """Jobs by when they were created, completed and gone; without an end it was last seen 10 s after it began."""
    made = HandMade()
    for number, (begin, end, gone) in enumerate(jobs):
        row = made.job(f"j{number}", ONE, begin, end)
        made.jobs[-1] = msgspec.structs.replace(row, deleted_at=at(gone) if gone is not None else None)
        made.life(f"j{number}", f"j{number}-0-aaaaa", ONE, {Moment.SCHEDULED: begin + 1, Moment.PULLED: begin + 10})
    made.write(directory)
    (found,) = cluster_schedules(summaries_in(directory))
    return found


def test_time_between_jobs_is_the_studys_own_and_parted_at_the_deletion(tmp_path: Path) -> None:
    found = scheduled(tmp_path, [(0, 16, 30), (50, 60, None)])
    assert (found.wall_seconds, found.in_jobs_seconds) == (60, 26)
    assert (found.deleting_seconds, found.between_seconds, found.own_seconds) == (14, 20, 34)


def test_jobs_that_overlap_are_counted_once_and_the_overlap_is_said(tmp_path: Path) -> None:
    found = scheduled(tmp_path, [(0, 100, None), (20, 40, None), (90, 130, None)])
    assert (found.wall_seconds, found.in_jobs_seconds, found.overlap_seconds) == (130, 130, 30)
    assert found.own_seconds == 0


def test_an_overlap_that_cut_off_times_can_make_is_none(tmp_path: Path) -> None:
    """By its status the second job was created in the second in which the first one ended."""
    found = scheduled(tmp_path, [(0, 16.5, None), (16, 30, None)])
    assert (found.wall_seconds, found.in_jobs_seconds) == (30, 30)
    assert (found.overlap_seconds, found.unresolved_seconds) == (0, 0.5)


def test_a_pause_is_no_time_that_the_study_took(tmp_path: Path) -> None:
    found = scheduled(tmp_path, [(0, 20, 25), (7200, 7220, None)])
    assert found.pauses == (7175,)
    assert (found.deleting_seconds, found.between_seconds) == (5, 0)


def test_after_a_job_without_an_end_nobody_knows_what_passed(tmp_path: Path) -> None:
    found = scheduled(tmp_path, [(0, None, None), (400, 420, None)])
    assert (found.in_jobs_seconds, found.unknown_seconds, found.own_seconds) == (30, 390, 0)


@pytest.mark.parametrize("provider", ["kwok", "import"])
def test_what_went_on_between_jobs_is_told_of_the_studys_own_only(tmp_path: Path, provider: str) -> None:
    made = HandMade()
    for number, begin in enumerate((0, 50)):
        made.job(f"j{number}", ONE, begin, begin + 16)
        made.life(f"j{number}", f"j{number}-0-aaaaa", ONE, {Moment.SCHEDULED: begin + 1, Moment.PULLED: begin + 10})
    made.write(tmp_path, provider=provider)
    facts = gather_facts(tmp_path)
    told = f"{wall_time.own_time(facts)} {''.join(map(str, wall_time.schedule_blocks(facts)))}"
    assert "34.0 s of 66.0 s" in told
    assert ("delet" in told) is (provider == "kwok")


spans = st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.booleans(), st.none() | st.floats(-1e4, 1e4))


@given(st.lists(spans, min_size=1, max_size=12))
def test_no_part_is_below_zero_and_all_add_up(jobs: list[tuple[float, float, bool, float | None]]) -> None:
    (found,) = cluster_schedules(summary(*job) for job in jobs)
    parts = [
        found.in_jobs_seconds,
        found.deleting_seconds,
        found.between_seconds,
        sum(found.pauses),
        found.unknown_seconds,
    ]
    assert min(*parts, found.overlap_seconds) >= -1e-4
    assert sum(parts) == pytest.approx(found.wall_seconds, abs=1e-3)
    assert found.in_jobs_seconds + found.overlap_seconds + found.unresolved_seconds == pytest.approx(
        sum(job[1] for job in jobs), abs=1e-3
    )


def summary(start: float, makespan: float, completed: bool, deleted: float | None) -> JobSummary:
    def time(seconds: float) -> Timestamp:
        return Timestamp(at(seconds), 1e-6, Witness.EVENT, CONTROL_PLANE)

    return JobSummary(
        cluster="c",
        run=None,
        size=4,
        namespace=None,
        job="j",
        number=1,
        image=ONE,
        images=(ONE,),
        repeat=None,
        cache="cold",
        failed=False,
        completed=completed,
        start=time(start),
        start_moment=Moment.JOB_CREATED,
        end=time(start + makespan),
        end_moment=Moment.JOB_COMPLETED,
        deleted=time(start + makespan + deleted) if deleted is not None else None,
        path=(),
        critical_pod=None,
        critical_node=None,
        pods=0,
        placed_pods=0,
        containers=0,
        riders=0,
        nodes=(),
        pulls=(),
    )
