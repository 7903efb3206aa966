"""What a message holds: one record as a flat JSON object, with the number of the schema and the kind of the record.

    {"schema":2,"kind":"pull","cluster":"c","run":null,...,"count":1,"event_uid":"..."}

The names are the record's columns. A newer writer may add columns, which may be unknown: readers skip what they don't
know, and what a message lacks is unknown. What would change the meaning of a column gets a new name. See docs/bus.md
for why JSON.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from pullstudy.pulls.columns import columns_of
from pullstudy.pulls.kind import Kind, Record
from pullstudy.pulls.kinds import KINDS

SCHEMA = 2  # 2 added when a reject was seen; raised where an older reader would misread what is written


class UnreadableMessageError(ValueError):
    """The message is no record that this version knows. ``str()`` is one line."""


class _Head(msgspec.Struct):
    schema: int
    kind: str


_BEHIND_SCHEMA = len('{"schema":2,')
_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(_Head).decode


class RecordFormat:
    """The messages of these kinds."""

    def __init__(self, kinds: Iterable[Kind[Any]]) -> None:
        kinds = tuple(kinds)
        self._prefixes = {kind.struct: b'{"schema":%d,"kind":"%s",' % (SCHEMA, kind.name.encode()) for kind in kinds}
        self._decoders = {kind.name: msgspec.json.Decoder(kind.struct).decode for kind in kinds}
        self._times = {kind.struct: _times_of(kind.struct) for kind in kinds}
        # What this very version writes is known by how it begins: it is read once.
        self._by_prefix = {self._prefixes[kind.struct]: self._decoders[kind.name] for kind in kinds}

    def encode(self, record: Record) -> bytes:
        """The message's value. Raises ValueError where JSON cannot hold the record (a lone surrogate)."""
        return self._prefixes[type(record)] + _encode(record)[1:]

    def decode(self, value: bytes) -> Record:
        """The message's record. Raises UnreadableError."""
        try:
            prefix = value[: value.find(b",", _BEHIND_SCHEMA) + 1]
            record: Record = (self._by_prefix.get(prefix) or self._decoder(value))(value)
        except UnreadableMessageError:
            raise
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
            raise UnreadableMessageError(f"no record: {error}") from error
        for name in self._times[type(record)]:
            at = getattr(record, name)
            if at is not None and at.tzinfo is None:  # it could be any of 26 hours
                raise UnreadableMessageError(f"no record: `$.{name}` is a time without a zone")
        return record

    def _decoder(self, value: bytes) -> Callable[[bytes], Record]:
        head = _decode_head(value)
        decoder = self._decoders.get(head.kind)
        if decoder is None:
            raise UnreadableMessageError(f"a message of kind {head.kind[:80]!r}, schema {head.schema}")
        return decoder


def _times_of(struct: type[Record]) -> tuple[str, ...]:
    return tuple(column.name for column in columns_of(struct) if column.type is datetime)


_format = RecordFormat(KINDS)
encode, decode = _format.encode, _format.decode


def key(record: Record) -> bytes:
    """Cluster and node: all of a node's pulls are in one partition, in the order in which they were published."""
    node = getattr(record, "node", None) or ""
    return f"{record.cluster}/{node}".encode(errors="backslashreplace")


def is_main(record: Record) -> bool:
    """Whether its topic is the main one; what stands around it goes to another."""
    return type(record) in _MAIN


_MAIN = frozenset(kind.struct for kind in KINDS if kind.main)
