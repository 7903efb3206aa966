"""Structs to SQLite rows and back: times as ISO 8601 text in UTC with microseconds, enums as their words."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from itertools import starmap
from operator import attrgetter
from sqlite3 import Cursor
from typing import Any, TypeVar

import msgspec

from pullstudy.pulls.columns import columns_of

S = TypeVar("S", bound=msgspec.Struct)
ToRow = Callable[[Any], Sequence[Any]]


def time_text(at: datetime) -> str:
    """Always six decimals and a Z, so that text order is time order."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:26] + "Z"  # a fifth of strftime's time


def to_row(record: msgspec.Struct) -> Sequence[Any]:
    """The fields in order, as SQLite keeps them."""
    return row_maker(type(record))(record)


@cache
def row_maker(struct: type[msgspec.Struct]) -> ToRow:
    """to_row() for this struct. This is the hot path of every write: what differs by type is found out once."""
    fields = attrgetter(*struct.__struct_fields__)  # all of them in one C call
    times, enums = _places(struct, datetime), _places(struct, Enum)

    def make(record: Any) -> Sequence[Any]:
        row = list(fields(record))
        for place in times:
            if row[place] is not None:
                row[place] = time_text(row[place])
        for place in enums:
            if row[place] is not None:
                row[place] = str(row[place])  # sqlite3 takes a subclass of str by a long way round
        return row

    return make


def _places(struct: type[msgspec.Struct], kind: type) -> list[int]:
    return [place for place, column in enumerate(columns_of(struct)) if issubclass(column.type, kind)]


def from_rows(struct: type[S], cursor: Cursor) -> Iterator[S]:
    """Structs from rows, by the names of their columns, in whatever order those stand; the struct's own are taken."""
    names = [described[0] for described in cursor.description]
    convert, booleans = msgspec.convert, [column.name for column in columns_of(struct) if column.type is bool]
    for row in cursor:
        values = dict(zip(names, row, strict=True))
        for name in booleans:
            if values.get(name) is not None:
                values[name] = bool(values[name])
        yield convert(values, struct)


def records_from(struct: type[S], cursor: Cursor) -> Iterator[S]:
    """As from_rows(), in half the time: for rows that only this package writes. Times and words alone are checked."""
    names = tuple(described[0] for described in cursor.description)
    return starmap(_maker(struct, names), cursor)


@cache
def _maker(struct: type[S], names: tuple[str, ...]) -> Callable[..., S]:
    """A function of a row's values. This is the hot path of every read: calls by keyword are fastest as plain code."""
    readers: dict[str, Any] = {"struct": struct}
    given = []
    columns = {column.name: column for column in columns_of(struct)}
    for place, name in enumerate(names):
        if name not in columns:
            continue
        value, reader = f"v{place}", _reader(columns[name].type)
        if reader is not None:
            readers[f"read{place}"] = reader
            value = f"read{place}(v{place}) if v{place} is not None else None"
        given.append(f"{name}={value}")
    values = ", ".join(f"v{place}" for place in range(len(names)))
    maker: Callable[..., S] = eval(f"lambda {values}: struct({', '.join(given)})", readers)
    return maker


def _reader(kind: type) -> Callable[[Any], Any] | None:
    """What makes a column's value of SQLite's; None where that is it already."""
    if issubclass(kind, Enum):
        return {word.value: word for word in kind}.__getitem__
    if issubclass(kind, datetime):
        return datetime.fromisoformat
    return bool if kind is bool else None
