"""Structs to SQLite rows and back: times as ISO 8601 text in UTC with microseconds, enums as their words."""

from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def time_text(at: datetime) -> str:
    """Always six decimals and a Z, so that text order is time order."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:26] + "Z"  # a fifth of strftime's time


def to_row(record: msgspec.Struct) -> tuple[Any, ...]:
    """The fields in order, as SQLite keeps them."""
    values = _getter(type(record))(record)
    return tuple([time_text(value) if type(value) is datetime else value for value in values])


_getters: dict[type, Any] = {}


def _getter(struct: type[msgspec.Struct]) -> Any:
    # attrgetter fetches all the fields in one C call: this is the hot path of every write.
    if struct not in _getters:
        _getters[struct] = attrgetter(*struct.__struct_fields__)
    return _getters[struct]


def from_rows(struct: type[S], rows: Any) -> Any:
    """Structs from rows whose columns are the struct's fields in order."""
    return map(partial(_from_row, struct), rows)


def _from_row(struct: type[S], row: tuple[Any, ...]) -> S:
    return msgspec.convert(dict(zip(struct.__struct_fields__, row, strict=True)), struct)
