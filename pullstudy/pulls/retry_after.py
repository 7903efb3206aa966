"""When an HTTP server says to come back: the Retry-After header (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DATE_CHARACTERS = 100  # the longest form has some 30; parsing a long text takes long


def retry_after_seconds(value: str | None, now: datetime | None) -> float | None:
    """Seconds, or an HTTP date less ``now``; None where the header is neither, or a date while ``now`` is unknown."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    at = http_date(value)
    return None if at is None or now is None else max(0.0, (at - now).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """An HTTP date, aware, in UTC however a proxy writes it; None where it is none."""
    if value is None or len(value) > _DATE_CHARACTERS:
        return None
    try:
        at = parsedate_to_datetime(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):  # a year of 24 digits, a zone that leaves the calendar
        return None
