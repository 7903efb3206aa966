"""Records of an archive, streamed: partition by partition, by the same rules as the embedded store's views."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property, reduce
from itertools import chain
from pathlib import Path
from typing import Any

from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import MILESTONE, PULL
from pullstudy.pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pullstudy.store.archive.merge import engine, files_sql, literal, order_sql
from pullstudy.store.archive.objects import Objects
from pullstudy.store.archive.parquet_file import batches_of
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.snapshot import Snapshot
from pullstudy.store.archive.tables import ABANDONED, records_of
from pullstudy.store.job_stream import JobStream
from pullstudy.store.protocol import Identity, JobName, Records, RecordsByJob, StoredRun
from pullstudy.store.selection import ALL, Selection

_AT_ONCE = 8_192  # records
# Pod status tells that an image is there, and only guesses whether it was pulled: either event tells it better.
_PLACE = "cluster, pod_uid, container, CASE outcome WHEN 'cached' THEN 'pulled' ELSE outcome END AS told"
_LAST_CHARACTER = "\U0010ffff"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ArchiveReader(Records):
    """Plain blocking calls. Each looks at the archive anew; a study is read from one ArchiveSnapshot."""

    def __init__(self, settings: ArchiveSettings) -> None:
        self._settings = settings
        self._objects = objects_of(settings)  # once: a client of S3 takes a second of CPU to make

    def runs(self) -> list[StoredRun]:
        with self._opened(ALL) as archive:
            return archive.runs()

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        with self._opened(selection) as archive:
            yield from archive.pulls(selection, outcome=outcome, job=job)

    def records(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        with self._opened(selection) as archive:
            yield from archive.records(kind, selection)

    def _opened(self, selection: Selection) -> AbstractContextManager["OpenArchive"]:
        return opened_archive(self._settings, selection, self._objects)

    def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        """All of the job's: nothing is left out."""
        chosen = Selection((run,), (cluster,))
        with self._opened(chosen) as archive:
            return list(archive.all_of(PULL, chosen, job=job))

    def identities(self, cluster: str, run: str | None) -> set[Identity]:
        """Of all pulls and milestones."""
        chosen = Selection((run,), (cluster,))
        with self._opened(chosen) as archive:
            kinds: tuple[Kind[Any], ...] = (PULL, MILESTONE)
            return {
                (each.cluster, each.event_uid, each.count) for kind in kinds for each in archive.all_of(kind, chosen)
            }


class OpenArchive(RecordsByJob):
    """The records of one snapshot."""

    def __init__(self, files: Snapshot, connection: Any) -> None:
        self._files = files
        self._connection = connection
        self._abandoned = self._read_abandoned()
        self._streams: dict[tuple[str, Selection], JobStream[Any]] = {}

    def runs(self) -> list[StoredRun]:
        found = [run for each in self._clusters(ALL, PULL) for run in self._runs_of(each)]
        # What is unknown comes first, as in SQLite.
        return sorted(
            found, key=lambda run: (run.run is not None, run.run, run.size is not None, run.size, run.cluster)
        )

    def _runs_of(self, cluster: str) -> Iterator[StoredRun]:
        rows = self._connection.execute(
            "SELECT run, cluster, size, count(*), epoch_us(min(finished_at)), epoch_us(max(finished_at))"
            f" FROM {files_sql(self._paths(PULL, Selection(clusters=(cluster,))))} GROUP BY ALL"
        )
        for run, name, size, pulls, first, last in rows.fetchall():
            yield StoredRun(
                run=run, cluster=name, size=size, pulls=pulls, first_at=_second(first), last_at=_second(last)
            )

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        superseded = self._superseded(selection)
        for record in self._live(PULL, self.all_of(PULL, selection, outcome=outcome, job=job)):
            if record.identity not in superseded:
                yield record

    def records(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        records = self._live(kind, self.all_of(kind, selection))
        if kind.order[0] == kind.time:  # partitions are days, one cluster after the other
            return records
        return iter(sorted(records, key=kind.reading_order()))  # they are few, or something is badly wrong

    def all_of(self, kind: Kind[R], selection: Selection, **equal: str | None) -> Iterator[R]:
        """With these values in columns, None for any: nothing is left out."""
        chosen = _chooser(kind, selection, equal)
        for path in self._paths(kind, selection):
            for batch in batches_of(path, _AT_ONCE):
                yield from records_of(kind, chosen(batch))

    # -- by job ------------------------------------------------------------------------------------------------------

    def jobs(self, selection: Selection = ALL) -> Iterator[JobName]:
        for cluster in self._clusters(selection, PULL, MILESTONE):
            of_cluster = _within(selection, cluster)
            kinds: list[Kind[Any]] = [kind for kind in (PULL, MILESTONE) if self._paths(kind, of_cluster)]
            parts = [f"SELECT cluster, job FROM {self._rows_of_jobs(kind, of_cluster)}" for kind in kinds]
            for name in self._distinct(parts):
                if name not in self._abandoned:
                    yield name

    def _distinct(self, parts: Sequence[str]) -> list[JobName]:
        sql = f"SELECT DISTINCT * FROM ({' UNION ALL '.join(parts)}) ORDER BY 1, 2"
        names: list[JobName] = self._connection.execute(sql).fetchall()
        return names

    def proves_job(self, job: JobName) -> bool:
        return job in self._proven

    @cached_property
    def _proven(self) -> frozenset[JobName]:
        # <job>-<index from 1>-<five letters>: DaemonSets and DeploymentConfigs have such pods too.
        like_others = (
            "starts_with(pod, job || '-') AND regexp_full_match(substr(pod, length(job) + 2), '[1-9].*-.{5}', 's')"
        )
        proof = {PULL.plural: "", MILESTONE.plural: " OR job_uid IS NOT NULL OR owner IS NOT NULL"}
        names: list[JobName] = []
        for cluster in self._clusters(ALL, PULL, MILESTONE):
            of_cluster = _within(ALL, cluster)
            parts = [
                f"SELECT cluster, job FROM {self._rows_of_jobs(kind, of_cluster)}"
                f" WHERE pod IS NULL OR NOT ({like_others}){proof[kind.plural]}"
                for kind in (PULL, MILESTONE)
                if self._paths(kind, of_cluster)
            ]
            names += self._distinct(parts)
        return frozenset(names)

    def of_job(self, kind: Kind[R], job: JobName, selection: Selection = ALL) -> Iterator[R]:
        stream = self._streams.get((kind.plural, selection))
        if stream is None:
            stream = self._streams[kind.plural, selection] = JobStream(lambda: self._by_job(kind, selection))
        return iter(stream.take(job))

    def of_no_job(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        records: Iterator[Any] = self.pulls(selection) if kind is PULL else self.records(kind, selection)
        return (record for record in records if record.job is None)

    def _by_job(self, kind: Kind[R], selection: Selection) -> Iterator[R]:
        superseded = self._superseded(selection) if kind.main else set()
        for cluster in self._clusters(selection, kind):
            rows = self._rows_of_jobs(kind, _within(selection, cluster))
            # A cursor of its own: other queries are made while it is read.
            ordered = self._connection.cursor().sql(f"SELECT * FROM {rows} ORDER BY {order_sql(kind, 'job')}")
            for batch in ordered.to_arrow_reader(_AT_ONCE):
                record: Any
                for record in self._live(kind, records_of(kind, batch)):
                    if not superseded or (record.cluster, record.event_uid, record.count) not in superseded:
                        yield record

    def _rows_of_jobs(self, kind: Kind[Any], selection: Selection) -> str:
        """Those of the selected runs that are of a job, as a table."""
        named = [literal(run) for run in selection.runs if run is not None]
        chosen = [f"run IN ({', '.join(named)})"] if named else []
        chosen += ["run IS NULL"] if None in selection.runs else []
        runs = f" AND ({' OR '.join(chosen)})" if chosen else ""
        return f"(SELECT * FROM {files_sql(self._paths(kind, selection))} WHERE job > ''{runs})"

    # -- files -------------------------------------------------------------------------------------------------------

    def _live(self, kind: Kind[R], records: Iterable[Any]) -> Iterator[R]:
        """Those of no abandoned attempt."""
        if not kind.of_job or not self._abandoned:
            return iter(records)
        return (record for record in records if (record.cluster, record.job) not in self._abandoned)

    def _clusters(self, selection: Selection, *kinds: Kind[Any]) -> list[str]:
        """In order. They are asked one by one: DuckDB holds what it knows of each file of a query."""
        return sorted({each.cluster for kind in kinds for each in self._files.of(kind, selection.clusters)})

    def _paths(self, kind: Kind[Any], selection: Selection) -> list[Path]:
        return [each.path for each in self._files.of(kind, selection.clusters)]

    def _read_abandoned(self) -> set[JobName]:
        batches = chain.from_iterable(batches_of(path, _AT_ONCE) for path in self._paths(ABANDONED, ALL))
        return {(each.cluster, each.job) for batch in batches for each in records_of(ABANDONED, batch)}

    def _superseded(self, selection: Selection) -> set[Identity]:
        """What only pod status witnessed, where an event came after all, on whatever day."""
        clusters = self._clusters(selection, PULL)
        return {each for cluster in clusters for each in self._superseded_of(_within(selection, cluster))}

    def _superseded_of(self, selection: Selection) -> set[Identity]:
        paths = self._paths(PULL, selection)
        # By their order, so that statistics of row groups tell where there are none: uids are hexadecimal digits.
        is_witness = f"event_uid BETWEEN {literal(WITNESS_PREFIX)} AND {literal(WITNESS_PREFIX + _LAST_CHARACTER)}"
        witnessed = (
            f"SELECT {_PLACE}, event_uid, count FROM {files_sql(paths)}"
            f" WHERE {is_witness} AND pod_uid IS NOT NULL AND container IS NOT NULL"
        )
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE witnessed AS {witnessed}")
        if not self._connection.execute("SELECT count(*) FROM witnessed").fetchone()[0]:
            return set()
        told = f"SELECT {_PLACE} FROM {files_sql(paths)} WHERE NOT {is_witness}"
        both = f"witnessed SEMI JOIN ({told}) USING (cluster, pod_uid, container, told)"
        rows = self._connection.execute(f"SELECT cluster, event_uid, count FROM {both}")
        return set(rows.fetchall())


@contextmanager
def opened_archive(
    settings: ArchiveSettings, selection: Selection, objects: Objects | None = None
) -> Iterator[OpenArchive]:
    """The clusters that are selected, as they are now, for as long as the block lasts. Raises StoreError."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pullstudy-")))
        files = stack.enter_context(ExitStack())  # open for longer than what reads them
        connection = stack.enter_context(engine(settings.memory_bytes, directory))
        there = objects if objects is not None else objects_of(settings)
        yield OpenArchive(Snapshot(there, settings, selection.clusters, directory, files), connection)


def _within(selection: Selection, cluster: str) -> Selection:
    return Selection(selection.runs, (cluster,))


def _chooser(kind: Kind[Any], selection: Selection, equal: dict[str, str | None]) -> Callable[[Any], Any]:
    """Of a record batch, the rows of the selected runs that have these values."""
    wanted: list[tuple[str, Sequence[str | None]]] = [
        (name, [value]) for name, value in equal.items() if value is not None
    ]
    if selection.runs and kind.has("run"):
        wanted.append(("run", selection.runs))

    def choose(batch: Any) -> Any:
        for name, values in wanted:
            batch = batch.filter(_is_one_of(batch.column(name), values))
        return batch

    return choose


def _is_one_of(column: Any, values: Sequence[str | None]) -> Any:
    """None among the values: what is unknown. Not by ``is_in``, whose array of values would import pandas: 1.5 s."""
    from pyarrow import compute

    fitting = (compute.is_null(column) if value is None else compute.equal(column, str(value)) for value in values)
    return reduce(compute.or_kleene, fitting)


def _second(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(seconds=microseconds // 1_000_000)
