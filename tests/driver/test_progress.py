"""What a sweep says while it runs."""

from datetime import UTC, datetime
from io import StringIO

import msgspec
import pytest

from driver.progress import JobSummary, JobTally, LiveProgress, PlainProgress, Progress, say_image, say_seconds
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


def tell_all(progress: Progress) -> None:
    progress.size_started("sim-x-4", 4, 12)
    progress.job_started(DONE, 3, 12)
    progress.tally(JobTally(4, 2, 1, 0))
    progress.job_ended(summary(DONE))
    progress.job_ended(summary(FAILED))
    progress.note("a note")
    progress.size_ended("sim-x-4", "48/48 accounted for")
    progress.close()


LINES = [
    "sim-x-4: 4 nodes up, 12 jobs",
    "  3/12 9 layers 1.18 GB r2 attempt 2, cold, 125 s, 4/4 accounted for",
    "  3/12 9 layers 1.18 GB r2 attempt 2, cold, FAILED: not-found: [x], 4/4 accounted for",
    "a note",
    "sim-x-4: 48/48 accounted for; taken down",
]


def test_without_a_terminal_each_thing_that_is_over_is_a_line() -> None:
    lines: list[str] = []
    tell_all(PlainProgress(lines.append))
    assert lines == LINES


def test_on_a_terminal_the_same_lines_scroll_by_above_the_bars() -> None:
    from rich.console import Console

    written = StringIO()
    tell_all(LiveProgress(84, 12, Console(file=written, force_terminal=True, width=120)))
    shown = written.getvalue()
    for line in LINES:
        assert line in shown
    assert "14/84" in shown


@pytest.mark.parametrize(("seconds", "said"), [(47.4, "47 s"), (725, "12 min"), (11_100, "3 h 05 min")])
def test_long_times_are_said_in_words_that_fit(seconds: float, said: str) -> None:
    assert say_seconds(seconds) == said


def test_other_images_are_called_by_their_name() -> None:
    assert say_image("docker.io/library/nginx:1.27") == "nginx-1-27"
