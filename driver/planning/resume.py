"""What is left to do: the plan less what the ledger says is done. Pure."""

from collections.abc import Iterable

import msgspec

from driver.errors import UsageError
from driver.planning.plan import PlannedJob, cluster_name
from driver.planning.study import Study
from pullstudy.store.embedded.ledger import JobRow, JobState

_OVER = (JobState.DONE, JobState.ABANDONED)


class Remaining(msgspec.Struct, frozen=True, kw_only=True):
    """``abandoned``: attempts that the resumed run takes back; ``jobs``: new attempts, in order."""

    abandoned: list[JobRow]
    jobs: list[JobRow]
    done: int


def remaining_jobs(
    study: Study, run: str, prefix: str, planned: Iterable[PlannedJob], rows: list[JobRow], *, mark: str = ""
) -> Remaining:
    """A done job stays; an attempt in flight when the driver died, or failed, is made again under another name.

    Its pulls so far are left out by the store's views, so that none is counted twice.
    """
    done = {row.position for row in rows if row.state is JobState.DONE}
    attempts: dict[int, int] = {}
    for row in rows:
        attempts[row.position] = max(row.attempt, attempts.get(row.position, 0))
    return Remaining(
        abandoned=[row for row in rows if row.state not in _OVER],
        jobs=[
            _row(study, run, prefix, job, attempts.get(job.position, 0) + 1, mark)
            for job in planned
            if job.position not in done
        ],
        done=len(done),
    )


def _row(study: Study, run: str, prefix: str, job: PlannedJob, attempt: int, mark: str) -> JobRow:
    return JobRow(
        job=job.name(attempt, mark),
        cluster=cluster_name(prefix, study, job.size),
        run=run,
        size=job.size,
        image=job.image,
        repeat=job.repeat,
        attempt=attempt,
        position=job.position,
        cache_mode=study.run.cache,
    )


def check_same_study(asked: Study, kept: Study) -> None:
    """Raises UsageError, naming what differs: a run is of one study."""
    before, now = (msgspec.json.decode(msgspec.json.encode(study)) for study in (kept, asked))
    different = [name for name in _names(before) if _at(before, name) != _at(now, name)]
    if different:
        name = different[0]
        raise UsageError(
            f"--resume: this run has {name} = {_say(_at(before, name))}, not {_say(_at(now, name))};"
            " resume without study options, or give another --out"
        )


def _names(value: object, prefix: str = "") -> list[str]:
    if not isinstance(value, dict) or not value:
        return [prefix]
    return [name for key, inner in value.items() for name in _names(inner, f"{prefix}.{key}".lstrip("."))]


def _at(value: object, name: str) -> object:
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _say(value: object) -> str:
    return msgspec.json.encode(value).decode()
