"""``pulldriver status``."""

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from driver.commands.directory_lock import holder
from driver.commands.options import DEFAULT_OUT, Json, Out
from driver.errors import UsageError
from driver.planning.study import decode_study
from driver.progress import say_image
from pullstudy.pulls.printable import printable
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import ClusterState, JobRow, JobState, Ledger, Run


class SizeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One size of the sweep."""

    cluster: str
    size: int
    state: str
    jobs: int
    done: int
    failed: int


class SweepStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sweep is. ``driver_pid`` is the process at work, None where none is."""

    run: str
    study: str
    provider: str
    notes: tuple[str, ...]  # who ran it and why, as they said it
    records: str  # where they are
    finished: bool
    driver_pid: int | None
    running_job: str | None
    running_image: str | None
    sizes: tuple[SizeStatus, ...]
    jobs: int
    done: int
    failed: int


def status_command(out: Out = DEFAULT_OUT, json: Json = False) -> None:
    """Show where a sweep is: running, interrupted or finished, and what is done.

    Example:

      pulldriver status --out pulling-study --json
    """
    status = read_status(out)
    if json:
        print(msgspec.json.format(msgspec.json.encode(status)).decode())
    else:
        print("\n".join(map(printable, say_status(status, out))))


def read_status(out: Path) -> SweepStatus:
    """Raises NotAStudyError, UsageError."""
    with closing(Ledger(out, create=False)) as ledger:
        run = ledger.swept_run()
        if run is None:
            raise UsageError(f"{out} holds no sweep, only what was imported")
        return _status(ledger, run, holder(out))


def _status(ledger: Ledger, run: Run, pid: int | None) -> SweepStatus:
    study = decode_study(run.study)
    per_size = study.run.repeats * len(study.images.references)
    rows = [row for row in ledger.jobs(run.run) if row.state is not JobState.ABANDONED]
    sizes = tuple(
        SizeStatus(
            cluster=cluster.cluster,
            size=cluster.size,
            state=cluster.state,
            jobs=per_size,
            done=_count(rows, cluster.cluster, JobState.DONE),
            failed=_count(rows, cluster.cluster, JobState.FAILED),
        )
        for cluster in ledger.clusters(run.run)
    )
    running = next((row for row in rows if row.state in (JobState.CREATED, JobState.COMPLETE)), None)
    return SweepStatus(
        run=run.run,
        study=study.name,
        provider=run.provider,
        notes=run.notes,
        records=str(study.collect),
        finished=run.finished_at is not None,
        driver_pid=pid,
        running_job=running.job if running else None,
        running_image=running.image if running else None,
        sizes=sizes,
        jobs=per_size * len(sizes),
        done=sum(size.done for size in sizes),
        failed=sum(size.failed for size in sizes),
    )


def _count(rows: list[JobRow], cluster: str, state: JobState) -> int:
    return sum(row.cluster == cluster and row.state is state for row in rows)


def say_status(status: SweepStatus, out: Path) -> Iterator[str]:
    yield f"study {status.study} on {status.provider}: {status.done} of {status.jobs} jobs done, {status.failed} failed"
    yield from (f"  note: {note}" for note in status.notes)
    if status.records != str(Destination()):
        yield f"  records of {status.run}: {status.records}"
    for size in status.sizes:
        yield f"  {size.cluster:<24}{size.state:<10}{size.done:>4}/{size.jobs}" + (
            f", {size.failed} failed" if size.failed else ""
        )
    if status.driver_pid is not None:
        image = f", at {say_image(status.running_image)}" if status.running_image else ""
        yield f"running: process {status.driver_pid}{image}"
        return
    left_up = [size.cluster for size in status.sizes if size.state not in (ClusterState.PLANNED, ClusterState.DOWN)]
    if left_up:
        yield f"not running, and {', '.join(left_up)} may still exist: pulldriver down --out {shlex.quote(str(out))}"
    if not status.finished or status.failed:
        yield f"go on: pulldriver sweep --out {shlex.quote(str(out))} --resume"
    else:
        yield f"finished; next: pulldriver report --out {shlex.quote(str(out))}"
