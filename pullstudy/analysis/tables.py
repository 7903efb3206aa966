"""Tables as CSV, JSON lines or Parquet, row by row: memory does not grow with their length.

Unknown is an empty cell in CSV and null elsewhere; times are ISO 8601 in UTC with a Z, in CSV and JSON lines,
and timestamps of microseconds in Parquet.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from itertools import islice
from types import UnionType
from typing import Any, BinaryIO, get_args, get_type_hints

import msgspec

from pullstudy.extras import require
from pullstudy.pulls.text_cache import cached_by_text
from pullstudy.store.embedded.rows import time_text

# What spreadsheets read as the beginning of a formula, wide East Asian forms too. Source: OWASP, "CSV Injection".
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SPECIAL = re.compile(r'[",\r\n]')
_GROUP_ROWS = 10_000  # of a Parquet row group, a few MB


class TableColumn(msgspec.Struct, frozen=True):
    """A column's name and the type of its values, None apart."""

    name: str
    kind: type


class Table(msgspec.Struct, frozen=True):
    """Columns, and rows that have a value for each of them."""

    columns: tuple[TableColumn, ...]
    rows: Iterable[Sequence[Any]]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


def columns_of(record: type) -> tuple[TableColumn, ...]:
    """The fields of a struct or dataclass, in order."""
    hints = get_type_hints(record)
    return tuple(TableColumn(name, _kind(hint)) for name, hint in hints.items())


def _kind(hint: Any) -> type:
    kinds = [kind for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,)) if kind is not type(None)]
    kind: type = kinds[0]
    return str if issubclass(kind, Enum) else kind


def write_csv(table: Table, file: BinaryIO) -> int:
    """A header and a line a row; return the rows. Text that a spreadsheet would run as a formula gets a ' before."""

    def write(row: Sequence[Any]) -> None:
        file.write((",".join(map(_csv_cell, row)) + "\n").encode())

    write(table.names)
    return _count(table.rows, write)


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _csv_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return time_text(value) if isinstance(value, datetime) else repr(value)


@cached_by_text(4096)  # most of a table's texts stand in many of its rows
def _csv_text(value: str) -> str:
    """RFC 4180. Not the csv module's: with lines that end in a newline it leaves a bare carriage return unquoted."""
    text = f"'{value}" if value.startswith(FORMULA_BEGINNINGS) else str(value)
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def write_jsonl(table: Table, file: BinaryIO) -> int:
    """An object a line; return the rows."""
    names = table.names
    encoder = msgspec.json.Encoder()

    def write(row: Sequence[Any]) -> None:
        cells = [time_text(value) if isinstance(value, datetime) else value for value in row]
        file.write(encoder.encode(dict(zip(names, cells, strict=True))) + b"\n")

    return _count(table.rows, write)


def write_parquet(table: Table, file: BinaryIO) -> int:
    """Row groups of _GROUP_ROWS rows; return the rows. Raises MissingExtraError."""
    require("pyarrow", "parquet")
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    kinds[datetime] = pa.timestamp("us", tz="UTC")
    schema = pa.schema([(column.name, kinds[column.kind]) for column in table.columns])
    written = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for rows in _groups(table.rows):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            written += len(rows)
    return written


def _groups(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    remaining = iter(rows)
    while group := list(islice(remaining, _GROUP_ROWS)):
        yield group


def _count(rows: Iterable[Sequence[Any]], write: Callable[[Sequence[Any]], object]) -> int:
    written = 0
    for row in rows:
        write(row)
        written += 1
    return written


WRITERS: dict[str, Callable[[Table, BinaryIO], int]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
