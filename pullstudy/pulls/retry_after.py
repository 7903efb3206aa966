"""When an HTTP server says to come back: the Retry-After header (RFC 9110, 10.2.3).

A header is whatever a server writes: none of its forms raises here.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 7 * 86_400.0  # asked for in earnest; the sum of a time and 400 digits would be no time
_DATE_CHARACTERS = 100  # the longest form has some 30; parsing a long text takes long


def retry_after_seconds(value: str | None, now: datetime | None) -> float | None:
    """Seconds, or an HTTP date less ``now``; None where the header is neither, or a date while ``now`` is unknown.

    From 0 to LONGEST_SECONDS.
    """
    if value is None:
        return None
    digits = value.strip()
    if digits.isascii() and digits.isdecimal():
        return bounded_seconds(float(digits))  # of thousands of digits it is infinite
    at = http_date(value)
    return None if at is None or now is None else bounded_seconds((at - now).total_seconds())


def bounded_seconds(seconds: float) -> float:
    """What a server asked for, from 0 to LONGEST_SECONDS."""
    return min(max(0.0, seconds), LONGEST_SECONDS)


def http_date(value: str | None) -> datetime | None:
    """An HTTP date, aware, in UTC however a proxy writes it; None where it is none."""
    if value is None or len(value) > _DATE_CHARACTERS:
        return None
    try:
        at = parsedate_to_datetime(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, LookupError, OverflowError):  # a year of 24 digits, a zone that leaves the calendar
        return None
