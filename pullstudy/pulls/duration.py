"""Go durations as ``Duration.String`` prints them: ``1h2m3.5s``, ``9.722063481s``, ``359ms``, ``1.5µs``, ``0s``."""

import re

_NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, what Go prints
    "μs": 1_000,  # U+03BC, what time.ParseDuration also takes
    "ns": 1,
}
# No more digits than a Duration has (Python refuses to read an integer of some thousands), nor terms without end.
PATTERN = r"-?(?:\d{1,30}(?:\.\d{1,30})?(?:h|ms|m|s|us|µs|μs|ns)){1,16}"
_WHOLE = re.compile(PATTERN)
_TERM = re.compile(r"(\d{1,30})(?:\.(\d{1,30}))?(h|ms|m|s|us|µs|μs|ns)")


class DurationError(ValueError):
    """A text that Go's Duration.String never prints, or one of more than its 64 bits: some 292 years."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not a Go duration: {text!r} (expected a form like 1h2m3.5s, 359ms or 0s)")
        self.text = text


def parse_nanoseconds(text: str) -> int:
    """The duration in whole nanoseconds, exactly.

    Source of the format: Go's ``time.ParseDuration``; digits finer than a nanosecond are cut off, as Go does.
    Raises DurationError.
    """
    if single := _TERM.fullmatch(text):  # as nearly all of them are
        total = _nanoseconds_of(*single.groups())
    elif _WHOLE.fullmatch(text):
        total = sum(_nanoseconds_of(*term) for term in _TERM.findall(text))
    else:
        raise DurationError(text)
    if total >= 2**63:
        raise DurationError(text)
    return -total if text.startswith("-") else total


def _nanoseconds_of(whole: str, fraction: str | None, unit: str) -> int:
    scale = _NANOSECONDS[unit]
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def parse_seconds(text: str) -> float:
    """The duration in seconds: the float nearest to the exact value. Raises DurationError."""
    return parse_nanoseconds(text) / 1e9


def format_nanoseconds(nanoseconds: int) -> str:
    """What Go's ``Duration.String`` prints for this many nanoseconds."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, scale in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if rest < scale * 1_000:
            return f"{sign}{_decimal(rest, scale)}{unit}"
    hours, rest = divmod(rest, _NANOSECONDS["h"])
    minutes, rest = divmod(rest, _NANOSECONDS["m"])
    text = f"{_decimal(rest, _NANOSECONDS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def format_seconds(seconds: float) -> str:
    """What Go's ``Duration.String`` prints for this many seconds, to the nanosecond."""
    return format_nanoseconds(round(seconds * 1e9))


def _decimal(value: int, scale: int) -> str:
    whole, fraction = divmod(value, scale)
    if not fraction:
        return str(whole)
    digits = str(fraction).rjust(len(str(scale)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}"
