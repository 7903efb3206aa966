"""Findings as lines for people, in colours on a terminal, or as JSON for machines."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from collector.checks.finding import Finding, FindingLevel

_COLOURS = {FindingLevel.OK: "\x1b[32m", FindingLevel.WARNING: "\x1b[33m", FindingLevel.FAILED: "\x1b[31;1m"}
_PLAIN = "\x1b[0m"
_WIDTH = max(len(level) for level in FindingLevel)


def finding_line(finding: Finding, *, colours: bool) -> str:
    """``FAILED  cluster: list events: may not ...; to do: ...``"""
    level = finding.level.ljust(_WIDTH)
    shown = f"{_COLOURS[finding.level]}{level}{_PLAIN}" if colours else level
    todo = f"; to do: {finding.todo}" if finding.todo else ""
    return f"{shown}  {finding.place}: {finding.check}: {finding.message}{todo}"


def summary_line(findings: Sequence[Finding]) -> str:
    """``9 ok, 1 warning, 2 failed``."""
    counted = Counter(finding.level for finding in findings)
    fine, warnings, failed_ones = (
        counted[level] for level in (FindingLevel.OK, FindingLevel.WARNING, FindingLevel.FAILED)
    )
    return f"{fine} ok, {warnings} warning{'' if warnings == 1 else 's'}, {failed_ones} failed"


def findings_json(findings: Sequence[Finding]) -> str:
    """One object: ``ok`` is whether nothing failed, ``findings`` has each with its level in small letters."""
    rows = [
        {
            "place": each.place,
            "check": each.check,
            "level": each.level.lower(),
            "message": each.message,
            "todo": each.todo,
        }
        for each in findings
    ]
    return msgspec.json.encode({"ok": not failed(findings), "findings": rows}).decode()


def failed(findings: Sequence[Finding]) -> bool:
    return any(finding.level is FindingLevel.FAILED for finding in findings)
