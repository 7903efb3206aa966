"""What a sweep says while it runs."""

from datetime import UTC, datetime

import msgspec
import pytest

from driver.course import Course
from driver.display import PlainProgress
from driver.progress import JobSummary, JobTally, say_image, say_seconds
from pullstudy.store.embedded.ledger import JobRow, JobState

DONE = JobRow(
    job="pull-3-9l-1176mb-r2-a2",
    cluster="sim-x-4",
    run="run1",
    size=4,
    image="r:9-layers-size-1176249324-bytes",
    repeat=2,
    attempt=2,
    position=3,
    cache_mode="cold",
    state=JobState.DONE,
    created_at=datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC),
    completed_at=datetime(2026, 1, 1, 0, 2, 5, tzinfo=UTC),
)
FAILED = msgspec.structs.replace(DONE, state=JobState.FAILED, error="not-found: [x]", completed_at=None)


def summary(row: JobRow) -> JobSummary:
    return JobSummary(row=row, number=3, jobs=12, accounted="4/4 accounted for", caches="cold")


def test_each_thing_that_is_over_is_a_line() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append, Course(clock=lambda: 0.0), lambda: 0.0)
    progress.size_begun("sim-x-4", 4, 12)
    progress.size_started("sim-x-4", 4, 12)
    progress.job_started(DONE, 3, 12)
    progress.tally(JobTally(4, 2, 1, 0))
    progress.job_ended(summary(DONE))
    progress.job_ended(summary(FAILED))
    progress.note("a note")
    progress.size_ended("sim-x-4", "48/48 accounted for")
    progress.close()
    assert lines == [
        "sim-x-4: 4 nodes up, 12 jobs",
        "  3/12 9 layers 1.18 GB r2 attempt 2, cold, 125 s, 4/4 accounted for",
        "  3/12 9 layers 1.18 GB r2 attempt 2, cold, FAILED: not-found: [x], 4/4 accounted for",
        "a note",
        "sim-x-4: 48/48 accounted for; taken down",
    ]


@pytest.mark.parametrize(("seconds", "said"), [(47.4, "47 s"), (725, "12 min"), (11_100, "3 h 05 min")])
def test_long_times_are_said_in_words_that_fit(seconds: float, said: str) -> None:
    assert say_seconds(seconds) == said


def test_other_images_are_called_by_their_name() -> None:
    assert say_image("docker.io/library/nginx:1.27") == "nginx-1-27"
