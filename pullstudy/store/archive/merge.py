"""Files of one kind merged into one: each record once by its identity, sorted as the kind is read.

Of several records with one identity the first in the order of the files stays: what was archived before.
A column that only a newer pullstudy knows is kept.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pullstudy.extras import require
from pullstudy.pulls.kind import Kind
from pullstudy.store.archive.parquet_file import GROUP_ROWS, schema_in, with_paths, write_parquet
from pullstudy.store.protocol import StoreError

_GLOB = re.compile(r"[*?\[]")  # in a path, DuckDB would look for files that match
RANK = "rank_"  # a column beside the kind's own: of several rows with one identity the least stays
_AT_ONCE = 65_536  # rows of a batch on the way


@contextmanager
def engine(memory_bytes: int, directory: Path, threads: int = 2) -> Iterator[Any]:
    """DuckDB in memory, which spills into the directory and asks no other host for anything. Raises StoreError."""
    require("duckdb", "archive")
    import duckdb

    connection = duckdb.connect(
        config={
            "memory_limit": f"{memory_bytes >> 20}MiB",
            "temp_directory": str(directory),
            "threads": threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,
            "enable_external_file_cache": False,  # by path, and a descriptor's is used again for another file
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    except duckdb.Error as error:
        raise StoreError(f"archive: {with_paths(str(error).splitlines()[0])}") from error
    finally:
        connection.close()


def day_sql(kind: Kind[Any]) -> str:
    return f"CAST(CAST({quoted(kind.time)} AT TIME ZONE 'UTC' AS DATE) AS VARCHAR)"


def files_sql(paths: Sequence[Path]) -> str:
    """All rows of the files, by the names of their columns."""
    names = ", ".join(literal(_GLOB.sub(r"[\g<0>]", str(path))) for path in paths)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def order_sql(kind: Kind[Any], *before: str) -> str:
    return ", ".join(f"{quoted(name)} NULLS FIRST" for name in (*before, *kind.order))


def once_sql(kind: Kind[Any], rows: str) -> str:
    """The rows, each identity once: of those with the least RANK."""
    identity = ", ".join(map(quoted, kind.identity))
    return f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {identity} ORDER BY {RANK}) = 1"


def schema_with(schema: Any, paths: Sequence[Path]) -> Any:
    """The schema, and what else the files have."""
    for path in paths:
        for field in schema_in(path):
            if field.name not in schema.names:
                schema = schema.append(field.with_nullable(True))
    return schema


def write_rows(connection: Any, sql: str, schema: Any, target: Path) -> int:
    """What the query selects, in columns of the schema: it has to have them all. Returns the rows."""
    chosen = ", ".join(map(quoted, schema.names))
    batches = connection.sql(f"SELECT {chosen} FROM ({sql})").to_arrow_reader(_AT_ONCE)
    return write_parquet(target, schema, _groups(schema, batches))


def _groups(schema: Any, batches: Any) -> Iterator[Any]:
    """Tables of a row group each: every write of the writer begins another."""
    import pyarrow as pa

    kept: list[Any] = []
    for batch in batches:
        kept.append(batch)
        if sum(each.num_rows for each in kept) >= GROUP_ROWS:
            yield pa.Table.from_batches(kept).cast(schema)
            kept = []
    if kept:
        yield pa.Table.from_batches(kept).cast(schema)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
