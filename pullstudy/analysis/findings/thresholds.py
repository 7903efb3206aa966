"""A bar or an objective as people write it: ``p95 > 1.10``, ``makespan > 5s``, ``failures > 3``, ``p99 < 60s``."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pullstudy.pulls.duration import PATTERN, DurationError, parse_seconds

_FORM = re.compile(rf"\s*([a-z0-9]+)\s*(>=|<=|>|<)\s*(\d{{1,15}}(?:\.\d{{1,15}})?|{PATTERN})\s*")


class Measure(StrEnum):
    """What a number is of."""

    MEDIAN = "median"
    P95 = "p95"
    P99 = "p99"
    MAKESPAN = "makespan"
    FAILURES = "failures"
    COST = "cost"


PROBABILITIES = {Measure.MEDIAN: 0.5, Measure.P95: 0.95, Measure.P99: 0.99}  # of pulls


class Unit(StrEnum):
    """What a number means: a time needs its unit, a count is whole."""

    RATIO = "ratio"
    SECONDS = "seconds"
    COUNT = "count"


class ThresholdError(ValueError):
    """A text that is no threshold."""


@dataclass(frozen=True)
class Threshold:
    """``text`` is as it was written."""

    text: str
    measure: Measure
    sign: str
    number: float
    unit: Unit

    @property
    def above(self) -> bool:
        """Whether it holds of great values."""
        return self.sign.startswith(">")

    def holds(self, low: float | None, high: float | None, number: float | None = None) -> bool | None:
        """Of a value that lies between these (95%); None where it may lie on either side."""
        number = self.number if number is None else number
        closed = len(self.sign) == 2
        if low is not None and (low > number or (low == number and closed == self.above)):
            return self.above
        if high is not None and (high < number or (high == number and closed != self.above)):
            return not self.above
        return None


def parse_threshold(text: str) -> Threshold:
    """Raises ThresholdError."""
    match = _FORM.fullmatch(text)
    names = ", ".join(Measure)
    if match is None:
        raise ThresholdError(f"{text!r} is no condition: give one of {names}, then > or <, then 1.10, 5s or 3")
    name, sign, number = match.groups()
    if name not in tuple(Measure):
        raise ThresholdError(f"{text!r}: there is no {name}; give one of {names}")
    measure = Measure(name)
    value, unit = _number(number, measure)
    if unit is Unit.SECONDS and measure in (Measure.FAILURES, Measure.COST):
        raise ThresholdError(f"{text!r}: {name} has no seconds; give a number")
    return Threshold(text.strip(), measure, sign, value, unit)


def _number(text: str, measure: Measure) -> tuple[float, Unit]:
    if not text[-1].isdigit():
        try:
            return parse_seconds(text), Unit.SECONDS
        except DurationError as error:
            raise ThresholdError(f"{text}: longer than any duration") from error
    whole = measure is Measure.FAILURES and "." not in text
    return float(text), Unit.COUNT if whole else Unit.RATIO
