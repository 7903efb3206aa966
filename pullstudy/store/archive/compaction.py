"""Compaction: what came in goes into the partitions of its days and clusters, in rounds of a bounded size.

A round: 1. fetch some incoming objects of one kind; 2. for each partition that they have records of, merge these with
the partition's file, and replace it where nobody has since; 3. delete the objects. A kill before 3 leaves them, and the
next round merges them again, which changes nothing. Two at once are safe: of two that replace the same version one is
refused, and merges anew with what the other wrote.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullstudy.pulls.kind import Kind
from pullstudy.store.archive.draft import draft_errors
from pullstudy.store.archive.incoming import incoming_of
from pullstudy.store.archive.merge import (
    RANK,
    day_sql,
    engine,
    files_sql,
    once_sql,
    order_sql,
    quoted,
    schema_with,
    write_rows,
)
from pullstudy.store.archive.objects import ConflictError, Listed, NoObjectError, Objects, Version
from pullstudy.store.archive.parquet_file import CLUSTER_KEY
from pullstudy.store.archive.partition import Partition
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.tables import ARCHIVED, schema_of
from pullstudy.store.protocol import StoreBusyError

_TRIES = 20  # at one partition that others replace at the same time


@dataclass(frozen=True)
class Compacted:
    """What compaction did."""

    objects: int = 0  # incoming ones, merged and deleted
    partitions: int = 0  # written, or written again
    rows: int = 0  # in those

    def __add__(self, other: "Compacted") -> "Compacted":
        return Compacted(self.objects + other.objects, self.partitions + other.partitions, self.rows + other.rows)


def compact(objects: Objects, settings: ArchiveSettings) -> Compacted:
    """Merge all that is there at the start. Raises StoreError, StoreBusyError where others write without end."""
    done = Compacted()
    for kind, some in _rounds(objects, settings.round_bytes):
        with draft_errors():
            done += _Round(objects, settings, kind).run(some)
    return done


def _rounds(objects: Objects, most_bytes: int) -> Iterator[tuple[Kind[Any], list[Listed]]]:
    """The incoming objects, as many of one kind at a time as fit."""
    for kind in ARCHIVED:
        gathered: list[Listed] = []
        for each in incoming_of(objects, kind):
            if gathered and sum(other.size_bytes for other in gathered) + each.size_bytes > most_bytes:
                yield kind, gathered
                gathered = []
            gathered.append(each)
        if gathered:
            yield kind, gathered


class _Round:
    """Some objects of one kind."""

    def __init__(self, objects: Objects, settings: ArchiveSettings, kind: Kind[Any]) -> None:
        self._objects = objects
        self._memory_bytes = settings.memory_bytes
        self._kind = kind

    def run(self, some: Sequence[Listed]) -> Compacted:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pullstudy-")))
            fetched = fetch_all(self._objects, [each.key for each in some], directory, stack)
            done = Compacted()
            if fetched:
                connection = stack.enter_context(engine(self._memory_bytes, directory))
                merging = Merging(connection, self._kind, fetched)
                for partition in merging.partitions():
                    done += Compacted(partitions=1, rows=self._merge(merging, partition, directory))
        for each in some:
            self._objects.delete(each.key)
        return done + Compacted(objects=len(some))

    def _merge(self, merging: "Merging", partition: Partition, directory: Path) -> int:
        for _ in range(_TRIES):
            with ExitStack() as stack:
                before, version = self._current(partition, directory, stack)
                target = directory / "merged.parquet"
                rows = merging.write(partition, before, target)
                try:
                    self._objects.replace(partition.key, target, version)
                except ConflictError:
                    continue
                return rows
        raise StoreBusyError(f"archive: {partition.key} is replaced by others again and again")

    def _current(self, partition: Partition, directory: Path, stack: ExitStack) -> tuple[list[Path], Version | None]:
        try:
            path, version = stack.enter_context(self._objects.fetched(partition.key, directory))
        except NoObjectError:
            return [], None
        return [path], version


def fetch_all(objects: Objects, keys: Sequence[str], directory: Path, stack: ExitStack) -> list[Path]:
    """Local files of those that are still there, until the stack ends: what is gone is in the partitions."""
    paths = []
    for key in keys:
        try:
            path, _ = stack.enter_context(objects.fetched(key, directory))
        except NoObjectError:
            continue
        paths.append(path)
    return paths


class Merging:
    """Fresh rows of a kind in DuckDB, to be merged into the partitions that they are of."""

    def __init__(self, connection: Any, kind: Kind[Any], fresh: Sequence[Path]) -> None:
        self._connection = connection
        self._kind = kind
        self._schema = schema_with(schema_of(kind), fresh)
        # In the order of the partitions, so that each is found without looking at all rows.
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT *, {day_sql(kind)} AS day_ FROM ({self._none()}"
            f" UNION ALL BY NAME FROM {files_sql(fresh)}) ORDER BY cluster, day_"
        )

    def _none(self) -> str:
        """No rows, of all columns: what files of an older version lack is unknown."""
        return f"SELECT {', '.join(f'NULL AS {quoted(name)}' for name in self._schema.names)} WHERE false"

    def partitions(self) -> list[Partition]:
        rows = self._connection.execute("SELECT DISTINCT day_, cluster FROM fresh ORDER BY 2, 1").fetchall()
        return [Partition(self._kind.plural, day, cluster) for day, cluster in rows]

    def write(self, partition: Partition, before: Sequence[Path], target: Path) -> int:
        """The partition as it is with the fresh rows; return how many it has."""
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT * EXCLUDE (day_), 1 AS {RANK} FROM fresh"
            " WHERE cluster = $1 AND day_ IS NOT DISTINCT FROM $2",
            [partition.cluster, partition.day],
        )
        rows = "FROM chosen"
        if before:
            rows = f"SELECT *, 0 AS {RANK} FROM {files_sql(before)} UNION ALL BY NAME FROM chosen"
        sql = f"{once_sql(self._kind, rows)} ORDER BY {order_sql(self._kind)}"
        return write_rows(self._connection, sql, self._schema_of(partition, before), target)

    def _schema_of(self, partition: Partition, before: Sequence[Path]) -> Any:
        schema = schema_with(self._schema, before)
        return schema.with_metadata({**schema.metadata, CLUSTER_KEY: partition.cluster.encode()})
