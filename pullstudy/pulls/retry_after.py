"""When an HTTP server says to come back: the Retry-After header (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


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
    try:
        at = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
