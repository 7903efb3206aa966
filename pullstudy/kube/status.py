"""Reading the Status of an answer that is no success, or of the ERROR line of a watch.

Source: kubernetes ``meta/v1`` types.go.
"""

from datetime import datetime

import msgspec

from pullstudy.kube.errors import Status
from pullstudy.pulls.retry_after import retry_after_seconds

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no such object raises: no JSON or of other types, no UTF-8, nested without end."""

SHOWN_BYTES = 200  # of a proxy's page


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    kind: str = ""  # the resource, in the plural
    retry_after_seconds: int | None = None


class _Status(msgspec.Struct, frozen=True):
    code: int | None = None
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


class _ErrorLine(msgspec.Struct, frozen=True):
    object: _Status = _Status()


_decode = msgspec.json.Decoder(_Status).decode
_decode_line = msgspec.json.Decoder(_ErrorLine).decode


def read_status(code: int, body: bytes, retry_after: str | None, now: datetime | None) -> Status:
    """Of an answer: its Status where it has one, and its Retry-After, whose date is held against ``now``."""
    asked = retry_after_seconds(retry_after, now)
    try:
        found = _decode(body)
    except UNREADABLE:  # a proxy's page, or nothing
        first_line = body[:SHOWN_BYTES].decode(errors="replace").strip().partition("\n")[0]
        return Status(code, first_line, retry_after_seconds=asked)
    return _status(code, found, asked)


def read_error_line(line: bytes) -> Status:
    """Of a watch's line of type ERROR."""
    try:
        found = _decode_line(line).object
    except UNREADABLE:
        found = _Status()
    return _status(found.code or 500, found, None)


def _status(code: int, found: _Status, asked: float | None) -> Status:
    details = found.details or _Details()
    return Status(
        code,
        found.message or "",
        found.reason or "",
        f"{details.kind} {details.name}".strip(),
        asked or (float(details.retry_after_seconds) if details.retry_after_seconds else asked),
    )
