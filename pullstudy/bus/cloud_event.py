"""The headers that make a message a CloudEvent 1.0, in the binary mode of its Kafka protocol binding.

Tools that route by type and source need not read the value. Sinks of this project read none of them.
"""

from hashlib import blake2b
from urllib.parse import quote

import msgspec

from pullstudy.pulls.kind import Kind, Record
from pullstudy.pulls.kinds import KINDS

CONTENT_TYPE = "application/json"
TYPE_PREFIX = "pullstudy."

_KINDS: dict[type[Record], Kind[Record]] = {kind.struct: kind for kind in KINDS}


def headers(record: Record) -> tuple[tuple[str, bytes], ...]:
    """``ce_id`` is of the record's identity: the same record seen twice is the same event."""
    kind = _KINDS[type(record)]
    identity = msgspec.json.encode([getattr(record, name) for name in kind.identity])
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", f"{TYPE_PREFIX}{kind.name}".encode()),
        ("ce_source", f"/clusters/{quote(record.cluster)}".encode()),
        ("ce_id", blake2b(identity, digest_size=16).hexdigest().encode()),
        ("content-type", CONTENT_TYPE.encode()),
    )
