"""The kinds of an archive, and their records as Arrow tables, whose fields say what each column means."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from itertools import repeat
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from pullstudy.pulls.columns import Column
from pullstudy.pulls.kind import Kind, R, Record
from pullstudy.pulls.kinds import KINDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Abandoned(Record, frozen=True, kw_only=True, gc=False):
    """An attempt of a job that another one replaced: AbandonedJob, as a row."""

    job: Annotated[str, Meta(description="the job's name")]
    at: Annotated[datetime, Meta(description="when it was given up")]


ABANDONED = Kind(
    name="abandoned_attempt",
    plural="abandoned_attempts",
    struct=Abandoned,
    meaning="one attempt of a job that another one replaced: its records are left out on reading",
    identity=("cluster", "job"),
    time="at",
    tags=("cluster",),
    order=("at", "job"),
)
ARCHIVED: tuple[Kind[Any], ...] = (*KINDS, ABANDONED)
_BY_STRUCT = {kind.struct: kind for kind in ARCHIVED}


def kind_of(struct: type[R]) -> Kind[R]:
    return cast(Kind[R], _BY_STRUCT[struct])


@cache
def schema_of(kind: Kind[Any]) -> Any:
    """A ``pyarrow.Schema``: a field's metadata has ``description``, as the kind's column means it."""
    import pyarrow as pa

    about = {
        "description": kind.meaning,
        "pullstudy.kind": kind.name,
        "pullstudy.identity": ", ".join(kind.identity),
        # Once more, for readers of Parquet that know nothing of Arrow's fields.
        "pullstudy.columns": msgspec.json.encode({column.name: column.meaning for column in kind.columns}),
    }
    return pa.schema([_field(column) for column in kind.columns], metadata=about)


def _field(column: Column) -> Any:
    import pyarrow as pa

    if issubclass(column.type, datetime):
        of = pa.timestamp("us", tz="UTC")
    else:
        plain = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}  # a bool is an int too
        of = next((made for kind, made in plain.items() if issubclass(column.type, kind)), pa.string())
    return pa.field(column.name, of, nullable=column.optional, metadata={"description": column.meaning})


def table_of(kind: Kind[R], records: Sequence[R]) -> Any:
    """A ``pyarrow.Table``. Raises ValueError, OverflowError where Arrow cannot hold a value: a lone surrogate."""
    import pyarrow as pa

    schema = schema_of(kind)
    columns = (_values(column, records) for column in kind.columns)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _values(column: Column, records: Sequence[Any]) -> list[Any]:
    values = [getattr(record, column.name) for record in records]
    if issubclass(column.type, Enum):
        return [value if value is None else str(value) for value in values]
    return values


def records_of(kind: Kind[R], batch: Any) -> Iterator[R]:
    """Of a ``pyarrow.RecordBatch`` or table with columns of the kind, in whatever order: what it lacks is unknown."""
    there = set(batch.schema.names)
    columns = [
        _read(column, batch.column(column.name)) if column.name in there else repeat(None) for column in kind.columns
    ]
    return map(_maker(kind), *columns) if batch.num_rows else iter(())


def _read(column: Column, values: Any) -> Iterable[Any]:
    import pyarrow as pa

    if issubclass(column.type, datetime):
        return map(_time, values.cast(pa.int64()).to_pylist())
    if issubclass(column.type, Enum):
        words = {word.value: word for word in column.type}
        return map({**words, None: None}.__getitem__, values.to_pylist())
    return cast(list[Any], values.to_pylist())


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


@cache
def _maker(kind: Kind[R]) -> Callable[..., R]:
    """The struct by the order of its columns. This is the hot path: calls by keyword are fastest as plain code."""
    names = [column.name for column in kind.columns]
    given = ", ".join(f"{name}=v{place}" for place, name in enumerate(names))
    values = ", ".join(f"v{place}" for place in range(len(names)))
    return cast(Callable[..., R], eval(f"lambda {values}: struct({given})", {"struct": kind.struct}))
