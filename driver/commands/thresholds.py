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


def verdict_code(verdicts: "Iterable[Verdict]") -> int:
    """One that says yes fails; else one that is unknown leaves it untold."""
    from pullstudy.analysis.findings.finding import Verdict

    found = set(verdicts)
    if Verdict.YES in found:
        return FAILED
    return CANNOT_TELL if Verdict.UNKNOWN in found else DONE
