"""What a sweep tells of itself while it runs, and the words for it."""

from datetime import timedelta
from typing import Protocol

import msgspec

from driver.planning.plan import image_slug
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.store.embedded.ledger import JobRow, JobState


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
    size_guessed: bool = False  # of its image, which is simulated

    @property
    def makespan(self) -> str:
        """From the job's creation to its end, by its own status; empty where it has no end."""
        if self.row.created_at is None or self.row.completed_at is None:
            return ""
        return f"{(self.row.completed_at - self.row.created_at).total_seconds():.0f} s"


class Progress(Protocol):
    """Called with everything that happens; decides nothing."""

    def note(self, text: str) -> None: ...

    def doing(self, what: str, found: str = "") -> None:
        """What happens from now on. Told again with what was ``found`` as it goes on."""
        ...

    def size_begun(self, cluster: str, size: int, jobs: int) -> None: ...

    def size_started(self, cluster: str, size: int, jobs: int) -> None:
        """Its nodes are up."""
        ...

    def job_started(self, row: JobRow, number: int, jobs: int) -> None: ...

    def tally(self, tally: JobTally) -> None: ...

    def job_ended(self, summary: JobSummary) -> None: ...

    def size_ended(self, cluster: str, accounted: str) -> None:
        """It is taken down."""
        ...

    def tick(self) -> None:
        """Called from time to time, whatever happens."""
        ...

    def close(self) -> None: ...


def say_job(summary: JobSummary) -> str:
    """One line."""
    row = summary.row
    guessed = " (size guessed)" if summary.size_guessed else ""
    head = f"  {summary.number}/{summary.jobs} {say_image(row.image)}{guessed}"
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
