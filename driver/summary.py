"""A sweep in one table, a line a size, from what is stored."""

from collections.abc import Iterator
from statistics import median

from pulls.record import Outcome
from store.ledger import JobRow, JobState, Ledger


def size_lines(ledger: Ledger, run: str) -> Iterator[str]:
    """A header and a line for each size that has jobs. Raises StoreError."""
    yield f"  {'nodes':>6}{'jobs':>6}{'failed':>8}{'pulled':>8}{'median pull':>13}{'longest':>10}{'makespans':>11}"
    jobs = [row for row in ledger.jobs(run) if row.state is not JobState.ABANDONED]
    for size in dict.fromkeys(row.size for row in jobs):
        yield _line(ledger, size, [row for row in jobs if row.size == size])


def _line(ledger: Ledger, size: int, rows: list[JobRow]) -> str:
    pulls = [pull for row in rows for pull in ledger.job_pulls(row.cluster, row.job) if pull.outcome is Outcome.PULLED]
    seconds = [pull.pull_seconds for pull in pulls if pull.pull_seconds is not None]
    middle = f"{median(seconds):.1f} s" if seconds else ""
    longest = f"{max(seconds):.1f} s" if seconds else ""
    failed = sum(row.state is JobState.FAILED for row in rows)
    return f"  {size:>6}{len(rows):>6}{failed:>8}{len(pulls):>8,}{middle:>13}{longest:>10}{_makespans(rows):>9.0f} s"


def _makespans(rows: list[JobRow]) -> float:
    return sum(
        (row.completed_at - row.created_at).total_seconds() for row in rows if row.completed_at and row.created_at
    )
