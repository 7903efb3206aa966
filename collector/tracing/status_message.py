"""``google.rpc.Status``, as OTLP's answers carry it: the few bytes of it that are needed.

Source: googleapis ``google/rpc/status.proto`` and ``error_details.proto``; protobuf's encoding of lengths.
"""

_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def status_message(message: str, code: int = 0, retry_seconds: int | None = None) -> bytes:
    """A Status; with ``retry_seconds`` a RetryInfo in its details."""
    parts = [_number(1, code) if code else b"", _bytes(2, message.encode())]
    if retry_seconds is not None:
        duration = _number(1, retry_seconds)
        parts.append(_bytes(3, _bytes(1, _RETRY_INFO) + _bytes(2, _bytes(1, duration))))
    return b"".join(parts)


def _number(field: int, value: int) -> bytes:
    return bytes((field << 3,)) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))
