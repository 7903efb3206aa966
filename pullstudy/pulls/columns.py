"""The columns of a struct, found once: what stores, messages, points and documents need to know of each."""

from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec


@dataclass(frozen=True)
class Column:
    """One field of a struct."""

    name: str
    type: type  # without None
    optional: bool  # it may be unknown
    meaning: str  # for documents; empty where the struct says none


@cache
def columns_of(struct: type[msgspec.Struct]) -> tuple[Column, ...]:
    """In the struct's order."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(_column(name, hints[name]) for name in struct.__struct_fields__)


def _column(name: str, hint: Any) -> Column:
    meaning = ""
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        meaning = next((note.description or "" for note in notes if isinstance(note, msgspec.Meta)), "")
    types = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return Column(name, next(each for each in types if each is not type(None)), type(None) in types, meaning)
