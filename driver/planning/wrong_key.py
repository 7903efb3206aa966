"""What a user is told of a key or value that is not one of those there are: where it stands, and which there are."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

import msgspec

_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`")
_WRONG_VALUE = re.compile(r"Invalid enum value (.*)")
_TYPES = re.compile(r"`([^`]*)`")
_SAID = {
    "object": "a table",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


def near_word(word: str, known: Collection[str]) -> str | None:
    """The one of the known words that was probably meant."""
    return next(iter(get_close_matches(word.lower(), known, 1)), None)


def explain_mistake(error: msgspec.ValidationError, struct: type[msgspec.Struct]) -> str:
    """msgspec's ``Invalid enum value 'x' - at `$.run.order` `` in words for who wrote the file of that struct."""
    said, _, path = str(error).partition(" - at `$")
    keys = [key for key in re.split(r"[.\[\]]+", path.rstrip("`")) if key]
    place = f" in [{path.rstrip('`').removeprefix('.')}]" if keys else ""
    known = _known_at(msgspec.inspect.type_info(struct), keys)
    if unknown := _UNKNOWN_KEY.fullmatch(said):
        return f"unknown key {unknown[1]!r}{place}: {_choice(unknown[1], known)}"
    if wrong := _WRONG_VALUE.fullmatch(said):
        return f"{wrong[1]}{place}: {_choice(wrong[1].strip(chr(39)), known)}"
    return f"{_plain(said)}{place}"


def _choice(word: str, known: Collection[str]) -> str:
    near = near_word(word, known)
    return (f"did you mean {near!r}? " if near else "") + f"there is {', '.join(known)}"


def _plain(said: str) -> str:
    if " matching regex " in said:
        return "not lower case letters, digits and - alone"
    return _TYPES.sub(lambda found: " or ".join(_SAID.get(name, name) for name in found[1].split(" | ")), said)


def _known_at(at: msgspec.inspect.Type, keys: list[str]) -> tuple[str, ...]:
    """The keys of the table there, or the values that stand for it."""
    for key in keys:
        at = _inner(at, key)
    return tuple(_words(at))


def _inner(at: msgspec.inspect.Type, key: str) -> msgspec.inspect.Type:
    if isinstance(at, msgspec.inspect.StructType):
        return next(field.type for field in at.fields if field.encode_name == key)
    if isinstance(at, msgspec.inspect.DictType):
        return at.value_type
    return getattr(at, "item_type", msgspec.inspect.AnyType())


def _words(at: Any) -> list[str]:
    match at:
        case msgspec.inspect.StructType():
            return [field.encode_name for field in at.fields]
        case msgspec.inspect.EnumType():
            return [str(member.value) for member in at.cls]
        case msgspec.inspect.LiteralType():
            return [str(value) for value in at.values]
        case msgspec.inspect.UnionType():
            return [word for member in at.types for word in _words(member)]
        case _:
            return []
