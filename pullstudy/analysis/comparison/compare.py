"""``pulldriver compare``: reads two studies and puts them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pullstudy.analysis.comparison.compared_facts import compared_facts
from pullstudy.analysis.comparison.study_differences import Difference, study_differences
from pullstudy.analysis.findings.bars import Bar, bar_findings
from pullstudy.analysis.findings.comparison import ComparedStudies, compared
from pullstudy.analysis.findings.comparison_findings import comparison_findings
from pullstudy.analysis.findings.finding import Finding
from pullstudy.analysis.findings.stage_differences import (
    StageCompared,
    stage_difference_findings,
    stage_differences,
)
from pullstudy.analysis.reading.source import StudySource
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
    stages: tuple[StageCompared, ...] = ()  # none where one side has no inside of pulls


def compare(
    first: Path | StudySource,
    second: Path | StudySource,
    *,
    images: Sequence[str] = (),
    bars: Sequence[Bar] = (),
    cluster_spread: float = ASSUMED_CLUSTER_SPREAD,
) -> Comparison:
    """``images`` are patterns of which one has to fit an image. Raises NotAStudyError, StoreError."""
    sides = compared_facts(first, images), compared_facts(second, images)
    found = compared(sides[0].compared, sides[1].compared, cluster_spread)
    stages = stage_differences(sides[0].stages, sides[1].stages, cluster_spread)
    return Comparison(
        first=str(first),
        second=str(second),
        notes=(sides[0].study.notes, sides[1].study.notes),
        simulated=any(each.study.simulated for each in sides),
        differences=tuple(study_differences(sides)),
        compared=found,
        findings=(*comparison_findings(found), *stage_difference_findings(stages, cluster_spread)),
        bars=tuple(bar_findings(bars, found)),
        stages=tuple(stages),
    )
