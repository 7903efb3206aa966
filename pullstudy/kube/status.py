"""Reading the Status of an answer that is no success, or of the ERROR line of a watch.

Source: kubernetes ``meta/v1`` types.go.
"""

from datetime import datetime

import msgspec

from pullstudy.kube.errors import Status
from pullstudy.pulls.retry_after import bounded_seconds, retry_after_seconds

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no such object raises: no JSON or of other types, no UTF-8, nested without end."""

SHOWN_BYTES = 200  # of a proxy's page
LONGEST_MESSAGE = 2_000  # kept of a Status': it goes into a line of the log
LONGEST_TOKEN = 8_000  # of a continue token, which goes into the address of a request


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    name: msgspec.Raw = msgspec.Raw()
    kind: msgspec.Raw = msgspec.Raw()  # the resource, in the plural
    retry_after_seconds: msgspec.Raw = msgspec.Raw()


class _Status(msgspec.Struct, frozen=True):
    """Each field by itself: one that cannot be read must not cost the others."""

    code: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    reason: msgspec.Raw = msgspec.Raw()
    details: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()


class _ListMetadata(msgspec.Struct, frozen=True):
    continue_token: str = msgspec.field(name="continue", default="")


class _ErrorLine(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Status).decode
_decode_line = msgspec.json.Decoder(_ErrorLine).decode
_decode_details = msgspec.json.Decoder(_Details).decode
_decode_metadata = msgspec.json.Decoder(_ListMetadata).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int, strict=False).decode  # "410" is 410


def read_status(code: int, body: bytes, retry_after: str | None, now: datetime | None) -> Status:
    """Of an answer: its Status where it has one, and its Retry-After, whose date is held against ``now``."""
    asked = retry_after_seconds(retry_after, now)
    try:
        found = _decode(body)
    except UNREADABLE:  # a proxy's page, or nothing
        first_line = body[:SHOWN_BYTES].decode(errors="replace").strip().partition("\n")[0]
        return Status(code, first_line, retry_after_seconds=asked)
    return _status(code, found, asked)


def is_error_line(line: bytes) -> bool:
    """Whether a watch's line is of type ERROR, whatever else it holds."""
    try:
        return _decode_line(line).type == "ERROR"
    except UNREADABLE:
        return False


def read_error_line(line: bytes) -> Status:
    """Of a watch's line of type ERROR."""
    try:
        found = _decode(_decode_line(line).object)
    except UNREADABLE:
        found = _Status()
    code = _number(found.code)
    return _status(code if code is not None and 100 <= code <= 999 else 500, found, None)


def _status(code: int, found: _Status, asked: float | None) -> Status:
    try:
        details = _decode_details(found.details)
    except UNREADABLE:
        details = _Details()
    seconds = _number(details.retry_after_seconds)
    return Status(
        code,
        _text(found.message),
        _text(found.reason),
        f"{_text(details.kind)} {_text(details.name)}".strip(),
        asked or (bounded_seconds(float(seconds)) if seconds else asked),
        _continue_token(found.metadata),
    )


def _continue_token(metadata: msgspec.Raw) -> str | None:
    try:
        token = _decode_metadata(metadata).continue_token
    except UNREADABLE:
        return None
    return token if 0 < len(token) <= LONGEST_TOKEN else None


def _text(raw: msgspec.Raw) -> str:
    try:
        text = _decode_text(raw)
    except UNREADABLE:
        return ""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} [cut: {len(text)} characters]"


def _number(raw: msgspec.Raw) -> int | None:
    """None where it is none, or none that a server means."""
    try:
        number = _decode_number(raw)
    except UNREADABLE:
        return None
    return number if abs(number) < 2**31 else None
