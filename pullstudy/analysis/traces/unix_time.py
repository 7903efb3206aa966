"""Times as OpenTelemetry has them: whole nanoseconds since 1970."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABSURD_SECONDS = 1e11  # 3,000 years
LAST = (1 << 63) - 1  # what readers hold a time in


def nanoseconds(seconds: float) -> int:
    """Of the absurd ones, which no pull has, as many as lead out of all time."""
    return round(max(-_ABSURD_SECONDS, min(seconds, _ABSURD_SECONDS)) * 1e9)


def since_1970(at: datetime) -> int:
    """Exactly: a datetime has microseconds."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
