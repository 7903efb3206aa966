"""``pulldriver compare``: reads two studies and puts them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pullstudy.analysis.comparison.compared_facts import compared_study
from pullstudy.analysis.comparison.study_differences import Difference, study_differences
from pullstudy.analysis.findings.bars import Bar, bar_findings
from pullstudy.analysis.findings.comparison import ComparedStudies, compared
from pullstudy.analysis.findings.comparison_findings import comparison_findings
from pullstudy.analysis.findings.finding import Finding
from pullstudy.analysis.reading.source import StudySource
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.statistics.speed_up import ASSUMED_CLUSTER_SPREAD


@dataclass(frozen=True)
class Comparison:
    """``differences`` say in what the two studies differ, or are not comparable, the weightiest first."""

    first: str
    second: str
    simulated: bool
    notes: tuple[tuple[str, ...], tuple[str, ...]]  # of those who ran the first, and the second
    differences: tuple[Difference, ...]
    compared: ComparedStudies
    findings: tuple[Finding, ...]
    bars: tuple[Finding, ...] = ()


def compare(
    first: Path | StudySource,
    second: Path | StudySource,
    *,
    images: Sequence[str] = (),
    bars: Sequence[Bar] = (),
    cluster_spread: float = ASSUMED_CLUSTER_SPREAD,
) -> Comparison:
    """``images`` are patterns of which one has to fit an image. Raises NotAStudyError, StoreError."""
    facts = gather_facts(first), gather_facts(second)
    sides = compared_study(facts[0], images), compared_study(facts[1], images)
    found = compared(*sides, cluster_spread)
    return Comparison(
        first=str(first),
        second=str(second),
        notes=(facts[0].study.notes, facts[1].study.notes),
        simulated=any(each.study.simulated for each in facts),
        differences=tuple(study_differences(facts, sides)),
        compared=found,
        findings=tuple(comparison_findings(found)),
        bars=tuple(bar_findings(bars, found)),
    )
