"""The embedded store: one SQLite file, safe for a collector and a driver at the same time.

WAL with full synchronisation: what write() acknowledged survives a kill -9 and a power cut.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pullstudy.private_files import make_private_directory, make_private_file
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Kind, R, Record
from pullstudy.pulls.kinds import KINDS, MILESTONE, PULL
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.embedded import schema
from pullstudy.store.embedded.read_only import connect_to_read
from pullstudy.store.embedded.rows import records_from, row_maker
from pullstudy.store.protocol import (
    AbandonedJob,
    Identity,
    JobName,
    RecordsByJob,
    Store,
    StoreBusyError,
    StoredRun,
    StoreError,
)
from pullstudy.store.selection import ALL, Selection

BUSY_SECONDS = 30.0  # how long a writer waits for the other writer of the file
CACHE_KIB = 8 << 10  # uids are random, so every record touches another page of their index: they should be at hand
CHECKPOINT_PAGES = 4_000  # of 4 KiB, for the same reason: a page that was touched often is copied back once
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
_OF_CLUSTERS = "(?1 IS NULL OR cluster IN (SELECT value FROM json_each(?1)))"
_SELECTED = f"{_OF_CLUSTERS} AND (?2 IS NULL OR EXISTS (SELECT 1 FROM json_each(?2) j WHERE j.value IS run))"


class NotAStudyError(StoreError):
    """The directory holds no study, or the file is no store of ours."""


def open_connection(directory: Path, *, create: bool, kinds: tuple[Kind[Any], ...] = KINDS) -> sqlite3.Connection:
    """A connection to the directory's study: with ``create`` to write it, made first if there is none.

    Without it to read it: no file is changed, and one of an earlier layout is read as it is. Raises NotAStudyError,
    StoreError.
    """
    path = directory / schema.FILE_NAME
    if not create and not path.is_file():
        raise NotAStudyError(
            f"{directory} is no study: {schema.FILE_NAME} is not in it; give the --out of a sweep or import"
        )
    with store_errors(path):
        return _open_to_write(directory, path, kinds) if create else _open_to_read(path, kinds)


def upgrade_to_come(directory: Path) -> str | None:
    """What a user is to know before the directory's study is opened to be written; None where that changes no layout.

    Raises NotAStudyError, StoreError.
    """
    path = directory / schema.FILE_NAME
    if not path.is_file() or not path.stat().st_size:
        return None
    with store_errors(path), closing(connect_to_read(path, BUSY_SECONDS)) as connection:
        version = _version(connection)
    if version not in schema.UPGRADES:
        return None
    return (
        f"{path} is of layout {version} and becomes one of layout {schema.VERSION},"
        " which the pullstudy that made it does not read"
    )


def _open_to_write(directory: Path, path: Path, kinds: tuple[Kind[Any], ...]) -> sqlite3.Connection:
    make_private_directory(directory)
    make_private_file(path)  # SQLite gives its mode to the two files beside it
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    try:
        _prepare(connection, path, kinds)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_to_read(path: Path, kinds: tuple[Kind[Any], ...]) -> sqlite3.Connection:
    connection = connect_to_read(path, BUSY_SECONDS)
    try:
        version = _version(connection)
        if version == 0:
            raise NotAStudyError(f"{path} holds no study; give the --out of a sweep or import")
        _check_layout(path, version)
        _execute(connection, schema.stand_ins(connection, kinds))
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_layout(path: Path, version: int) -> None:
    if version not in (0, *schema.UPGRADES, schema.VERSION):
        raise NotAStudyError(
            f"{path} is of layout {version}, not {schema.VERSION}: read it with the pullstudy that made it"
        )


def _prepare(connection: sqlite3.Connection, path: Path, kinds: tuple[Kind[Any], ...]) -> None:
    version = _version(connection)
    _check_layout(path, version)
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    if version != schema.VERSION or schema.additions(connection, kinds):
        with _transaction(connection):
            _make_current(connection, path, kinds)


def _write_ahead(connection: sqlite3.Connection) -> None:
    # Of two that change a file's mode at once SQLite refuses one at once, whatever its time-out for locks.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _make_current(connection: sqlite3.Connection, path: Path, kinds: tuple[Kind[Any], ...]) -> None:
    # In a transaction: another process that opens the file may have done it while this one waited for the lock.
    if _version(connection) == 0:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise NotAStudyError(f"{path} is an SQLite file, but not of a study; choose another --out")
        _execute(connection, schema.create_statements(kinds))
        return
    made = _made_by_users(connection)
    for (view,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
        connection.execute(f"DROP VIEW {_quoted(view)}")
    while (version := _version(connection)) in schema.UPGRADES:
        _execute(connection, schema.UPGRADES[version])
        connection.execute(f"PRAGMA user_version = {version + 1}")
    _execute(connection, schema.additions(connection, kinds))
    _execute(connection, schema.views_and_indexes(kinds))
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    _execute(connection, (statement for name, statement in made if name not in there))


def _made_by_users(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Views, indexes and triggers with their statements; ours are among them, and are made anew before these."""
    kinds = "('view', 'index', 'trigger')"
    return connection.execute(
        f"SELECT name, sql FROM sqlite_master WHERE type IN {kinds} AND sql IS NOT NULL ORDER BY rowid"
    ).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _execute(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing, and only by one process at a time."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Map the engine's errors, in this one place, to one line each."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte: the rest tells kinds of it apart
            raise StoreBusyError(f"store {path} is held by another process") from error
        if "full" in str(error):
            raise StoreError(f"disk full at {path}: free space, run again; what was stored is kept") from error
        raise StoreError(f"store {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise NotAStudyError(f"{path} is no SQLite file, or damaged ({error})") from error
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror or error}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the file that bears the name now; None where there is none. SQLite goes on with one that was deleted."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


class EmbeddedStore(Store, RecordsByJob):
    """The Store on one SQLite file."""

    def __init__(self, directory: Path, *, create: bool, kinds: tuple[Kind[Any], ...] = KINDS) -> None:
        """Without ``create`` to read only. Raises NotAStudyError where the directory then holds no study."""
        self.path = directory / schema.FILE_NAME
        self._connection = open_connection(directory, create=create, kinds=kinds)
        self._files = {self.path: _identity(self.path)}  # those beside it are there after the first write
        self._inserts = {kind.struct: _insert(kind) for kind in kinds}
        # One thread: writes keep their order, and the event loop does not wait for the disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def write(self, batch: Batch) -> int:
        return await self._in_thread(lambda: self.write_now(batch))

    def write_now(self, batch: Batch) -> int:
        """write(), for callers that have no event loop."""
        new = self._transaction(lambda: sum(self._insert(*of_kind) for of_kind in batch.of_kinds.items()))
        self._check_files()
        return new

    def _check_files(self) -> None:
        for path in (self.path, *(self.path.with_name(f"{self.path.name}-{each}") for each in ("wal", "shm"))):
            there = _identity(path)
            if self._files.setdefault(path, there) != there:
                raise StoreError(
                    f"{path} was deleted or replaced while it was written: what was written last is not in it;"
                    " put it back, or start again without it"
                )

    def _insert(self, struct: type[Record], records: tuple[Record, ...]) -> int:
        before = self._connection.total_changes
        self._connection.executemany(self._inserts[struct], map(row_maker(struct), records))
        return self._connection.total_changes - before

    def _transaction(self, work: Callable[[], T]) -> T:
        with store_errors(self.path), _transaction(self._connection):
            return work()

    async def abandon(self, jobs: Sequence[AbandonedJob]) -> None:
        """Of jobs that the ledger has: the file keeps their state there."""
        rows = [(job.cluster, job.job) for job in jobs]
        sql = "UPDATE jobs SET state = 'abandoned' WHERE cluster = ?1 AND job = ?2"
        await self._in_thread(lambda: self._transaction(lambda: self._connection.executemany(sql, rows)))

    async def job_pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        sql = "SELECT * FROM pull_records WHERE cluster = ?1 AND run IS ?2 AND job = ?3"
        return await self._in_thread(lambda: list(self._read(PullRecord, sql, (cluster, run, job))))

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        tables = (PULL.table, MILESTONE.table)
        sql = " UNION ".join(
            f"SELECT cluster, event_uid, count FROM {each} WHERE cluster = ?1 AND run IS ?2" for each in tables
        )
        return await self._in_thread(lambda: set(self._all(sql, (cluster, run))))

    def runs(self) -> list[StoredRun]:
        sql = (
            "SELECT run, cluster, size, count(*) AS pulls,"
            " substr(min(finished_at), 1, 19) || 'Z' AS first_at, substr(max(finished_at), 1, 19) || 'Z' AS last_at"
            " FROM pull_records GROUP BY run, cluster, size ORDER BY run, size, cluster"
        )
        return list(self._read(StoredRun, sql))

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        more = "(?3 IS NULL OR outcome = ?3) AND (?4 IS NULL OR job = ?4)"
        return self._of_kind(PULL, selection, more, outcome, job)

    def records(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        return self._of_kind(kind, selection)

    def jobs(self, selection: Selection = ALL) -> Iterator[JobName]:
        chosen = _SELECTED if selection.runs else _OF_CLUSTERS  # without a run an index alone has the answer
        kinds = (PULL, MILESTONE)
        names = " UNION ".join(f"SELECT cluster, job FROM {kind.table} WHERE {chosen} AND job > ''" for kind in kinds)
        # A job is left out whole: it is looked up once in the views, and not each of its records.
        there = " UNION ALL ".join(f"SELECT 1 FROM {kind.plural} WHERE cluster = ?1 AND job = ?2" for kind in kinds)
        with store_errors(self.path):
            values = _lists(selection)[: 2 if selection.runs else 1]
            for name in self._connection.execute(f"{names} ORDER BY cluster, job", values):
                if self._connection.execute(f"{there} LIMIT 1", name).fetchone() is not None:
                    yield name

    def proves_job(self, job: JobName) -> bool:
        like_others = "pod GLOB ?2 || '-[1-9]*-?????'"
        sql = f"""SELECT 1 FROM pulls WHERE cluster = ?1 AND job = ?2 AND (pod IS NULL OR NOT {like_others})
            UNION ALL SELECT 1 FROM milestones WHERE cluster = ?1 AND job = ?2
              AND (pod IS NULL OR NOT {like_others} OR job_uid IS NOT NULL OR owner IS NOT NULL) LIMIT 1"""
        return bool(self._all(sql, job))

    def of_job(self, kind: Kind[R], job: JobName, selection: Selection = ALL) -> Iterator[R]:
        # jobs() has looked the job up in the views: none of its rows is left out but those that are told twice.
        chosen = (_SELECTED if selection != ALL else "TRUE") + (schema.TOLD_ONCE if kind.main else "")
        order = ", ".join(kind.order)
        sql = f"SELECT * FROM {kind.table} r WHERE cluster = ?3 AND job = ?4 AND {chosen} ORDER BY {order}"
        return self._read(kind.struct, sql, (*_lists(selection), *job))

    def of_no_job(self, kind: Kind[R], selection: Selection = ALL) -> Iterator[R]:
        return self._of_kind(kind, selection, "job IS NULL")

    def _of_kind(self, kind: Kind[R], selection: Selection, more: str = "TRUE", *values: object) -> Iterator[R]:
        by_run = kind.has("run")
        selected = _SELECTED if by_run else _OF_CLUSTERS
        sql = f"SELECT * FROM {kind.plural} WHERE {selected} AND {more} ORDER BY cluster, {', '.join(kind.order)}"
        return self._read(kind.struct, sql, (*_lists(selection)[: 2 if by_run else 1], *values))

    def _read(self, struct: type[S], sql: str, parameters: tuple[object, ...] = ()) -> Iterator[S]:
        with store_errors(self.path):
            yield from records_from(struct, self._connection.execute(sql, parameters))

    def _all(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with store_errors(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        await self._in_thread(self.close_now)

    def close_now(self) -> None:
        self._connection.close()
        self._thread.shutdown(wait=False)


def _lists(selection: Selection) -> tuple[str | None, str | None]:
    """Clusters and runs as JSON; None is any."""
    clusters, runs = selection.clusters, selection.runs
    return (json.dumps(clusters) if clusters else None, json.dumps(runs) if runs else None)


def _insert(kind: Kind[Any]) -> str:
    """By name: an older file has its columns in another order."""
    names = [column.name for column in kind.columns]
    return (
        f"INSERT INTO {kind.table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT ({', '.join(kind.identity)}) DO NOTHING"
    )
