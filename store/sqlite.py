"""The embedded store: one SQLite file, safe for a collector and a driver at the same time.

WAL with full synchronisation: what write() acknowledged survives a kill -9 and a power cut.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from pulls.batch import Batch, Gap, Reject
from pulls.milestone import Milestone
from pulls.record import Outcome, PullRecord
from store import schema
from store.protocol import StoreError
from store.rows import from_rows, row_maker

BUSY_SECONDS = 30.0  # how long a writer waits for the other writer of the file
CACHE_KIB = 8 << 10  # uids are random, so every record touches another page of their index: they should be at hand
CHECKPOINT_PAGES = 4_000  # of 4 KiB, for the same reason: a page that was touched often is copied back once
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class NotAStudyError(StoreError):
    """The directory holds no study, or the file is no store of ours."""


def open_connection(directory: Path, *, create: bool) -> sqlite3.Connection:
    """A connection to the directory's study, made first if create is set and there is none.

    Raises NotAStudyError, StoreError.
    """
    path = directory / schema.FILE_NAME
    if not create and not path.is_file():
        raise NotAStudyError(
            f"{directory} is no study: {schema.FILE_NAME} is not in it; give the --out of a sweep or import"
        )
    with store_errors(path):
        if create:
            directory.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, schema.VERSION):
        raise NotAStudyError(
            f"{path} is of layout {version}, not {schema.VERSION}: read it with the pullstudy that made it"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        # The other process may have made it while this one waited for the lock.
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.execute("ROLLBACK")
                raise NotAStudyError(f"{path} is an SQLite file, but not of a study; choose another --out")
            for statement in _statements(schema.create_script()):
                connection.execute(statement)
        connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit first, and the layout has to appear whole or not at all.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Map the engine's errors, in this one place, to one line each."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise StoreError(f"disk full at {path}: free space, run again; what was stored is kept") from error
        raise StoreError(f"store {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise NotAStudyError(f"{path} is no SQLite file, or damaged ({error})") from error
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror or error}") from error


class EmbeddedStore:
    """The Store on one SQLite file."""

    def __init__(self, directory: Path, *, create: bool) -> None:
        """Raises NotAStudyError where create is not set and the directory holds no study."""
        self.path = directory / schema.FILE_NAME
        self._connection = open_connection(directory, create=create)
        # One thread: writes keep their order, and the event loop does not wait for the disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def write(self, batch: Batch) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.write_now, batch)

    def write_now(self, batch: Batch) -> int:
        """write(), for callers that have no event loop."""
        groups: dict[str, tuple[msgspec.Struct, ...]] = {
            "pull_records": batch.pulls,
            "milestone_records": batch.milestones,
            "rejects": batch.rejects,
            "gaps": batch.gaps,
        }
        return self._transaction(lambda: sum(self._insert(table, rows) for table, rows in groups.items()))

    def _insert(self, table: str, records: tuple[msgspec.Struct, ...]) -> int:
        if not records:
            return 0
        marks = ", ".join("?" * len(records[0].__struct_fields__))
        before = self._connection.total_changes
        self._connection.executemany(
            f"INSERT OR IGNORE INTO {table} VALUES ({marks})", map(row_maker(type(records[0])), records)
        )
        return self._connection.total_changes - before

    def _transaction(self, work: Callable[[], T]) -> T:
        with store_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return result

    def pulls(self, *, outcome: Outcome | None = None, job: str | None = None) -> Iterator[PullRecord]:
        return self._read(
            PullRecord,
            "SELECT * FROM pulls WHERE (?1 IS NULL OR outcome = ?1) AND (?2 IS NULL OR job = ?2)"
            " ORDER BY cluster, finished_at, event_uid, count",
            (outcome, job),
        )

    def milestones(self) -> Iterator[Milestone]:
        return self._read(Milestone, "SELECT * FROM milestones ORDER BY cluster, at, event_uid, count, moment")

    def rejects(self) -> Iterator[Reject]:
        return self._read(Reject, "SELECT * FROM rejects ORDER BY cluster, source, position")

    def gaps(self) -> Iterator[Gap]:
        return self._read(Gap, "SELECT * FROM gaps ORDER BY cluster, found_at")

    def _read(self, struct: type[S], sql: str, parameters: tuple[object, ...] = ()) -> Iterator[S]:
        with store_errors(self.path):
            yield from from_rows(struct, self._connection.execute(sql, parameters))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self.close_now)

    def close_now(self) -> None:
        self._connection.close()
        self._thread.shutdown(wait=False)
