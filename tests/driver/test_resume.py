"""What a resumed sweep does again, and what it leaves."""

import msgspec
import pytest

from driver.errors import UsageError
from driver.planning.plan import planned_jobs
from driver.planning.resume import check_same_study, remaining_jobs
from driver.planning.study import Overrides, Study, load_study
from pullstudy.store.embedded.ledger import JobRow, JobState

STUDY = load_study(None, Overrides(sizes="2"))
PLANNED = planned_jobs(STUDY)


def row(position: int, state: JobState, attempt: int = 1) -> JobRow:
    job = PLANNED[position]
    return JobRow(
        job=job.name(attempt),
        cluster="sim-pulling-study-2",
        run="run1",
        size=2,
        image=job.image,
        repeat=job.repeat,
        attempt=attempt,
        position=position,
        cache_mode="cold",
        state=state,
    )


def test_a_new_run_has_everything_left() -> None:
    left = remaining_jobs(STUDY, "run1", "sim-", PLANNED, [])
    assert [job.position for job in left.jobs] == list(range(32))
    assert {job.attempt for job in left.jobs} == {1}
    assert left.done == 0


@pytest.mark.parametrize("state", [JobState.PLANNED, JobState.CREATED, JobState.COMPLETE, JobState.FAILED])
def test_what_is_not_done_is_abandoned_and_run_again_under_another_name(state: JobState) -> None:
    left = remaining_jobs(STUDY, "run1", "sim-", PLANNED, [row(0, JobState.DONE), row(1, state)])
    assert [job.job for job in left.abandoned] == [PLANNED[1].name(1)]
    assert left.jobs[0].job == PLANNED[1].name(2)
    assert [job.position for job in left.jobs] == list(range(1, 32))
    assert left.done == 1


def test_attempts_count_on_through_several_resumes() -> None:
    rows = [row(0, JobState.ABANDONED, 1), row(0, JobState.ABANDONED, 2), row(0, JobState.CREATED, 3)]
    left = remaining_jobs(STUDY, "run1", "sim-", PLANNED, rows)
    assert left.jobs[0].attempt == 4
    assert [job.attempt for job in left.abandoned] == [3]


def test_another_study_is_refused_and_the_difference_named() -> None:
    other = load_study(None, Overrides(sizes="2,4"))
    with pytest.raises(UsageError, match=r"cluster\.sizes = \[2\], not \[2,4\]"):
        check_same_study(other, STUDY)


def test_the_same_study_may_go_on() -> None:
    same = msgspec.json.decode(msgspec.json.encode(STUDY), type=Study)
    check_same_study(same, STUDY)
