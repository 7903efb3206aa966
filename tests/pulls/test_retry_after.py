"""What a Retry-After header asks for."""

from datetime import UTC, datetime

import pytest

from pullstudy.pulls.retry_after import http_date, retry_after_seconds

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("0", 0.0),
        (" 30 ", 30.0),
        ("Tue, 24 Nov 2026 10:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_it_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_a_date_says_nothing_to_who_does_not_know_the_time() -> None:
    assert retry_after_seconds("Tue, 24 Nov 2026 10:00:30 GMT", None) is None


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", ""])
def test_a_date_is_utc_however_a_proxy_writes_it(zone: str) -> None:
    assert http_date(f"Tue, 24 Nov 2026 10:00:00 {zone}".strip()) == NOW
    assert http_date(None) is None
