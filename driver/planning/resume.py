"""What is left to do: the plan less what the ledger says is done. Pure."""

from collections.abc import Iterable, Iterator
from itertools import count

import msgspec

from driver.errors import UsageError
from driver.planning.plan import PlannedJob, cluster_name
from driver.planning.study import Study
from pullstudy.store.embedded.ledger import JobRow, JobState

JobKey = tuple[int, str, int]  # size, image, repeat
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
    done = done_jobs(rows)
    attempts: dict[JobKey, int] = {}
    for row in rows:
        attempts[key(row)] = max(row.attempt, attempts.get(key(row), 0))
    left = [job for job in planned if key(job) not in done]
    return Remaining(
        abandoned=[row for row in rows if row.state not in _OVER],
        jobs=[
            _row(study, run, prefix, job, attempts.get(key(job), 0) + 1, mark) for job in _with_positions(left, rows)
        ],
        done=len(done),
    )


def key(job: PlannedJob | JobRow) -> JobKey:
    """What the job is, in whatever order it comes: a study that has got more images has another order."""
    return job.size, job.image, job.repeat


def done_jobs(rows: Iterable[JobRow]) -> set[JobKey]:
    return {key(row) for row in rows if row.state is JobState.DONE}


def _with_positions(left: Iterable[PlannedJob], rows: Iterable[JobRow]) -> Iterator[PlannedJob]:
    """A job that was begun keeps its position; the others come after all that were."""
    begun = {key(row): row.position for row in rows}
    new = count(max(begun.values(), default=-1) + 1)
    for job in left:
        position = begun[key(job)] if key(job) in begun else next(new)
        yield msgspec.structs.replace(job, position=position)


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


def check_same_study(
    asked: Study,
    kept: Study,
    option: str = "--resume",
    advice: str = "resume without study options, with --extend where sizes and images are to be added,",
) -> None:
    """Raises UsageError, naming what differs and what to do: a run is of one study."""
    before, now = (msgspec.json.decode(msgspec.json.encode(study)) for study in (kept, asked))
    different = [path for path in _paths(before) if _at(before, path) != _at(now, path)]
    if different:
        path = different[0]
        raise UsageError(
            f"{option}: this run has {'.'.join(path)} = {_say(_at(before, path))}, not {_say(_at(now, path))};"
            f" {advice} or give another --out"
        )


def _paths(value: object, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Of keys, which may have dots in them: images' names do."""
    if not isinstance(value, dict) or not value:
        return [before]
    return [path for key, inner in value.items() for path in _paths(inner, (*before, key))]


def _at(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _say(value: object) -> str:
    return msgspec.json.encode(value).decode()
