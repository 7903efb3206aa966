"""What one check found."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum


class FindingLevel(StrEnum):
    """How good it is."""

    OK = "ok"
    WARNING = "warning"  # the collector works, and something about it is not as it could be
    FAILED = "FAILED"  # the collector would not work


@dataclass(frozen=True)
class Finding:
    """One line."""

    place: str  # cluster, kafka, influxdb or data
    check: str  # what was looked at
    level: FindingLevel
    message: str
    todo: str | None = None


Findings = AsyncIterator[Finding]


class Place:
    """Makes the findings of one place."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ok(self, check: str, message: str) -> Finding:
        return Finding(self._name, check, FindingLevel.OK, message)

    def warning(self, check: str, message: str, todo: str | None = None) -> Finding:
        return Finding(self._name, check, FindingLevel.WARNING, message, todo)

    def failed(self, check: str, message: str, todo: str | None = None) -> Finding:
        return Finding(self._name, check, FindingLevel.FAILED, message, todo)
