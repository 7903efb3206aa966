"""What a sweep says while it runs: a live display on a terminal, plain lines anywhere else."""

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from driver.planning.plan import image_slug
from driver.terminal import LeavableStream
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.printable import printable
from pullstudy.store.embedded.ledger import JobRow, JobState

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class JobTally(msgspec.Struct, frozen=True):
    """How far a job is."""

    size: int
    started: int  # its image is there
    succeeded: int
    failing: int  # waiting after a failed pull


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that is over."""

    row: JobRow
    number: int  # of the jobs of this size, from 1
    jobs: int
    accounted: str  # the audit's words
    caches: str  # "cold", or "cold 3, warm 1"

    @property
    def makespan(self) -> str:
        """From the job's creation to its end, by its own status; empty where it has no end."""
        if self.row.created_at is None or self.row.completed_at is None:
            return ""
        return f"{(self.row.completed_at - self.row.created_at).total_seconds():.0f} s"


class Progress(Protocol):
    """Called with everything that happens; decides nothing."""

    def note(self, text: str) -> None: ...

    def size_started(self, cluster: str, size: int, jobs: int) -> None: ...

    def job_started(self, row: JobRow, number: int, jobs: int) -> None: ...

    def tally(self, tally: JobTally) -> None: ...

    def job_ended(self, summary: JobSummary) -> None: ...

    def size_ended(self, cluster: str, accounted: str) -> None: ...

    def close(self) -> None: ...


class PlainProgress:
    """A line for whatever is over."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        self._write(text)

    def size_started(self, cluster: str, size: int, jobs: int) -> None:
        self._write(f"{cluster}: {size} nodes up, {jobs} jobs")

    def job_started(self, row: JobRow, number: int, jobs: int) -> None:
        pass

    def tally(self, tally: JobTally) -> None:
        pass

    def job_ended(self, summary: JobSummary) -> None:
        self._write(say_job(summary))

    def size_ended(self, cluster: str, accounted: str) -> None:
        self._write(f"{cluster}: {accounted}; taken down")

    def close(self) -> None:
        pass


class LiveProgress:
    """One bar for the sweep and one for the running job; what is over scrolls by above them."""

    def __init__(self, total_jobs: int, done_jobs: int, console: "Console | None" = None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bars: RichProgress = RichProgress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._sweep: TaskID = self._bars.add_task("jobs", total=total_jobs, completed=done_jobs)
        self._job: TaskID = self._bars.add_task("", total=None, visible=False)
        self._bars.start()

    def note(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, highlight=False)

    def size_started(self, cluster: str, size: int, jobs: int) -> None:
        self.note(f"{cluster}: {size} nodes up, {jobs} jobs")

    def job_started(self, row: JobRow, number: int, jobs: int) -> None:
        what = f"{row.size} nodes, {say_image(row.image)}"
        self._bars.update(self._job, description=what, total=row.size, completed=0, visible=True)

    def tally(self, tally: JobTally) -> None:
        self._bars.update(self._job, completed=max(tally.started, tally.succeeded))

    def job_ended(self, summary: JobSummary) -> None:
        self._bars.update(self._job, visible=False)
        self._bars.advance(self._sweep)
        self.note(say_job(summary))

    def size_ended(self, cluster: str, accounted: str) -> None:
        self.note(f"{cluster}: {accounted}; taken down")

    def close(self) -> None:
        self._bars.stop()


def make_progress(write: Callable[[str], None], *, total_jobs: int, done_jobs: int) -> Progress:
    """The live display where somebody looks at it."""
    if not sys.stdout.isatty():
        return PlainProgress(write)
    from rich.console import Console

    return LiveProgress(total_jobs, done_jobs, Console(file=LeavableStream(sys.stdout)))


def say_job(summary: JobSummary) -> str:
    """One line."""
    row = summary.row
    head = f"  {summary.number}/{summary.jobs} {say_image(row.image)}"
    repeat = f" r{row.repeat}" if row.repeat > 1 else ""
    attempt = f" attempt {row.attempt}" if row.attempt > 1 else ""
    end = f"FAILED: {row.error}" if row.state is JobState.FAILED else summary.makespan
    return ", ".join(part for part in (head + repeat + attempt, summary.caches, end, summary.accounted) if part)


def say_image(image: str) -> str:
    """``9 layers 1.18 GB`` for the study's images, the last part of the name for others."""
    shape = study_shape(parse_image(image).tag)
    return f"{shape[0]} layers {say_bytes(shape[1])}" if shape else image_slug(image, 40)


def say_bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


def say_seconds(seconds: float) -> str:
    """``47 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(timedelta(seconds=seconds) / timedelta(minutes=1))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
