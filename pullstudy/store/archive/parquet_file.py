"""Parquet files as the archive writes them: zstd, row groups of a size, times as their differences."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pullstudy.extras import require
from pullstudy.store.protocol import StoreError

GROUP_ROWS = 131_072
_LEVEL = 6  # of zstd: 3 is a tenth larger here, 9 takes twice the time for a hundredth less
CLUSTER_KEY = b"pullstudy.cluster"


def write_parquet(path: Path, schema: Any, tables: Iterable[Any]) -> int:
    """Tables of the schema, in a new file; return the rows."""
    parquet = _parquet()
    written = 0
    with parquet.ParquetWriter(path, schema, **_options(schema)) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=GROUP_ROWS)
            written += table.num_rows
    return written


def _options(schema: Any) -> dict[str, Any]:
    import pyarrow as pa

    # Uids are random: a dictionary of them is the column again. Sorted times differ by little.
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    unlike = {*times, "event_uid", "pod_uid", "raw"}
    return {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "use_dictionary": [name for name in schema.names if name not in unlike],
        "column_encoding": dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        "write_page_index": True,
    }


def batches_of(path: Path, rows: int) -> Iterator[Any]:
    """Record batches of a file. Raises StoreError."""
    with _errors(path), _parquet().ParquetFile(path) as file:
        yield from file.iter_batches(rows)


def schema_in(path: Path) -> Any:
    """A ``pyarrow.Schema``. Raises StoreError."""
    with _errors(path):
        return _parquet().read_schema(path)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = with_paths(str(error).splitlines()[0])
        raise StoreError(f"archive: {path.resolve()} is no Parquet file that can be read ({reason})") from error


def with_paths(message: str) -> str:
    """The message of a library, with the paths of the files whose descriptors it names; they are still open."""
    return re.sub(r"/dev/fd/\d+", lambda found: str(Path(found[0]).resolve()), message)


def _parquet() -> Any:
    require("pyarrow", "archive")
    from pyarrow import parquet

    return parquet
