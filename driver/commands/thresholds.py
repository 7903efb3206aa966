"""``--fail-if`` and ``--slo``: conditions as written, and the exit code that their verdicts make."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from driver.errors import UsageError
from pullstudy.exit_codes import CANNOT_TELL, DONE, FAILED

if TYPE_CHECKING:
    from pullstudy.analysis.findings.finding import Verdict
    from pullstudy.analysis.findings.thresholds import Threshold


def thresholds_of(texts: Iterable[str], option: str) -> "list[Threshold]":
    """Raises UsageError."""
    from pullstudy.analysis.findings.thresholds import ThresholdError, parse_threshold

    try:
        return [parse_threshold(text) for text in texts]
    except ThresholdError as error:
        raise UsageError(f"{option} {error}") from error


def objectives_of(texts: Iterable[str], option: str) -> "list[Threshold]":
    """Raises UsageError."""
    from pullstudy.analysis.findings.objectives import checked_objective
    from pullstudy.analysis.findings.thresholds import ThresholdError

    try:
        return [checked_objective(threshold) for threshold in thresholds_of(texts, option)]
    except ThresholdError as error:
        raise UsageError(f"{option} {error}") from error


def verdict_code(verdicts: "Iterable[Verdict]", failing: "Verdict") -> int:
    """One that fails decides; else one that is unknown leaves it untold."""
    from pullstudy.analysis.findings.finding import Verdict

    found = set(verdicts)
    if failing in found:
        return FAILED
    return CANNOT_TELL if Verdict.UNKNOWN in found else DONE
