"""A sweep of forty jobs, told to the live display on standard output: ten at each of the sizes that a terminal gets.

``python -m tests.driver.told_sweep COLUMNSxLINES ...`` waits for each size before it goes on.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from time import sleep
from typing import TextIO

from driver.course import Course
from driver.display import make_progress
from driver.progress import JobSummary, JobTally, Progress
from driver.terminal import StatusArea
from pullstudy.store.embedded.ledger import JobRow, JobState

AT = datetime(2026, 1, 1, tzinfo=UTC)
JOBS, NODES = 40, 4


def job(number: int) -> JobRow:
    """Its image is called ``job-7-end``, so that no other job's line has the name in it."""
    return JobRow(
        job=f"pull-{number}",
        cluster="sim-x-4",
        run="run1",
        size=NODES,
        image=f"registry.example/job:{number}-end",
        repeat=1,
        attempt=1,
        position=number,
        cache_mode="cold",
        state=JobState.DONE,
        created_at=AT,
        completed_at=AT,
    )


def progress_on(stream: TextIO) -> Progress:
    """With a clock that goes on by a second each time that it is looked at."""
    clock = count().__next__
    course = Course(clock=clock, jobs=JOBS)
    return make_progress(StatusArea(stream), stream, course, clock, {"TERM": "xterm"})


def tell(progress: Progress, numbers: Iterable[int]) -> Iterator[None]:
    """Each job from its start to its end; a step each time that something is written."""
    for number in numbers:
        progress.job_started(job(number), number, JOBS)
        for started in range(NODES + 1):
            progress.tally(JobTally(NODES, started, 0, 0))
            progress.tick()
            yield
        accounted = f"{NODES}/{NODES} accounted for"
        progress.job_ended(JobSummary(row=job(number), number=number, jobs=JOBS, accounted=accounted, caches="cold"))
        yield
        progress.doing("clearing images from the nodes")
        progress.tick()
        yield


def main() -> None:
    sizes = [tuple(map(int, size.split("x"))) for size in sys.argv[1:]]
    each = JOBS // len(sizes)
    progress = progress_on(sys.stdout)
    progress.size_begun("sim-x-4", NODES, JOBS)
    for turn, size in enumerate(sizes):
        while tuple(os.get_terminal_size()) != size:
            sleep(0.01)
        for _ in tell(progress, range(turn * each + 1, (turn + 1) * each + 1)):
            pass
    progress.close()
    sys.stdout.write("over\n")


if __name__ == "__main__":
    main()
