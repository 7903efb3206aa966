"""A sweep in one table, a line a size, from what is stored."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

from pullstudy.analysis.findings.model_error import ForetoldJob, model_errors
from pullstudy.pulls.record import Outcome
from pullstudy.store.embedded.ledger import JobRow, JobState, Ledger
from pullstudy.store.protocol import Store
from pullstudy.store.selection import Selection

PullSeconds = dict[tuple[str, str], list[float | None]]  # of every pull, by cluster and job


def size_lines(ledger: Ledger, pulled: PullSeconds, run: str) -> Iterator[str]:
    """A header and a line for each size that has jobs. Raises StoreError."""
    yield f"  {'nodes':>6}{'jobs':>6}{'failed':>8}{'pulled':>8}{'median pull':>13}{'longest':>10}{'makespans':>11}"
    jobs = [row for row in ledger.jobs(run) if row.state is not JobState.ABANDONED]
    for size in dict.fromkeys(row.size for row in jobs):
        rows = [row for row in jobs if row.size == size]
        yield _line(size, rows, [seconds for row in rows for seconds in pulled.get((row.cluster, row.job), ())])


def model_lines(ledger: Ledger, pulled: PullSeconds, run: str) -> Iterator[str]:
    """How far the model was off that foretold the jobs: a line for each model that there was. Raises StoreError."""
    rows = {(row.cluster, row.job): row for row in ledger.jobs(run) if row.state is JobState.DONE}
    jobs = [
        ForetoldJob(said, row.size, row.image, seconds)
        for said in ledger.foretold(run)
        if (row := rows.get((said.cluster, said.job))) and (seconds := _known(pulled.get((said.cluster, said.job), ())))
    ]
    yield from (found.evidence for found in model_errors(jobs) if found.subject == "all")


def pull_seconds(store: Store, run: str) -> PullSeconds:
    """Raises StoreError."""
    found: PullSeconds = defaultdict(list)
    for pull in store.pulls(Selection(runs=(run,)), outcome=Outcome.PULLED):
        found[pull.cluster, pull.job or ""].append(pull.pull_seconds)
    return found


def _known(pulls: Iterable[float | None]) -> list[float]:
    return [seconds for seconds in pulls if seconds is not None]


def _line(size: int, rows: list[JobRow], pulls: list[float | None]) -> str:
    seconds = _known(pulls)
    middle = f"{median(seconds):.1f} s" if seconds else ""
    longest = f"{max(seconds):.1f} s" if seconds else ""
    failed = sum(row.state is JobState.FAILED for row in rows)
    return f"  {size:>6}{len(rows):>6}{failed:>8}{len(pulls):>8,}{middle:>13}{longest:>10}{_makespans(rows):>9.0f} s"


def _makespans(rows: list[JobRow]) -> float:
    return sum(
        (row.completed_at - row.created_at).total_seconds() for row in rows if row.completed_at and row.created_at
    )
