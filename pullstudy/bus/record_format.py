"""What a message holds: one record as a flat JSON object, with the number of the schema and the kind of the record.

    {"schema":2,"kind":"pull","cluster":"c","run":null,...,"count":1,"event_uid":"..."}

The names are the record's columns. A newer writer may add columns and raises ``schema`` when it does: readers keep what
they don't know (``Envelope.unknown``), and it is there again when the record is written once more. What would change
the meaning of a column gets a new name. See docs/bus.md for why JSON.
"""

from dataclasses import dataclass, field

import msgspec

from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord

SCHEMA = 2  # 2 added when a reject was seen

Record = PullRecord | Milestone | Reject | Gap
KINDS: dict[str, type[Record]] = {"pull": PullRecord, "milestone": Milestone, "reject": Reject, "gap": Gap}

_KIND_OF: dict[type, str] = {struct: kind for kind, struct in KINDS.items()}
_PREFIX = {struct: b'{"schema":%d,"kind":"%s",' % (SCHEMA, kind.encode()) for kind, struct in KINDS.items()}


class UnreadableError(ValueError):
    """The message is no record that this version knows. ``str()`` is one line."""


@dataclass(frozen=True)
class Envelope:
    """A message's record, and what else the message holds."""

    record: Record
    schema: int = SCHEMA
    unknown: dict[str, msgspec.Raw] = field(default_factory=dict)  # columns of a newer schema, as JSON


class _Head(msgspec.Struct):
    schema: int
    kind: str


_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decoders = {kind: msgspec.json.Decoder(struct).decode for kind, struct in KINDS.items()}


def encode(record: Record) -> bytes:
    """The message's value. Raises ValueError where JSON cannot hold the record (a lone surrogate)."""
    return _PREFIX[type(record)] + _encode(record)[1:]


def encode_envelope(envelope: Envelope) -> bytes:
    """The message's value, with what a newer writer had put into it."""
    head = b'{"schema":%d,"kind":"%s",' % (envelope.schema, _KIND_OF[type(envelope.record)].encode())
    body = _encode(envelope.record)[1:]
    if not envelope.unknown:
        return head + body
    return head + body[:-1] + b"," + _encode(envelope.unknown)[1:]


def decode(value: bytes) -> Envelope:
    """The message's record. Raises UnreadableError."""
    try:
        head = _decode_head(value)
        decoder = _decoders.get(head.kind)
        if decoder is None:
            raise UnreadableError(f"a message of kind {head.kind[:80]!r}, schema {head.schema}")
        record = decoder(value)
        # Written by this very version, as a rule: then it holds nothing else. Cheaper than looking for it.
        if encode(record) == value:
            return Envelope(record)
        return Envelope(record, head.schema, _unknown(value, record))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableError(f"no record: {error}") from error


def _unknown(value: bytes, record: Record) -> dict[str, msgspec.Raw]:
    known = {"schema", "kind", *record.__struct_fields__}
    # A copy: a Raw would keep the whole message alive.
    return {name: raw.copy() for name, raw in _decode_object(value).items() if name not in known}


def key(record: Record) -> bytes:
    """Cluster and node: all of a node's pulls are in one partition, in the order in which they were published."""
    node = getattr(record, "node", None) or ""
    return f"{record.cluster}/{node}".encode(errors="backslashreplace")


def to_batch(records: list[Record]) -> Batch:
    """Records of any kinds as one batch."""
    return Batch(
        pulls=tuple(each for each in records if type(each) is PullRecord),
        milestones=tuple(each for each in records if type(each) is Milestone),
        rejects=tuple(each for each in records if type(each) is Reject),
        gaps=tuple(each for each in records if type(each) is Gap),
    )
