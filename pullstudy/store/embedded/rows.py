"""Structs to SQLite rows and back: times as ISO 8601 text in UTC with microseconds, enums as their words."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

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
    hints = get_type_hints(struct)
    return [place for place, name in enumerate(struct.__struct_fields__) if _is(hints[name], kind)]


def _is(hint: Any, kind: type) -> bool:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return any(isinstance(one, type) and issubclass(one, kind) for one in kinds)


def from_rows(struct: type[S], rows: Any) -> Any:
    """Structs from rows whose columns are the struct's fields in order."""
    return map(partial(_from_row, struct), rows)


def _from_row(struct: type[S], row: tuple[Any, ...]) -> S:
    return msgspec.convert(dict(zip(struct.__struct_fields__, row, strict=True)), struct)
