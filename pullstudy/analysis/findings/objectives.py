"""``report --slo``: whether pulls meet an objective, as ``p99 < 60s``, or miss it, and not by chance."""

from collections.abc import Iterable, Iterator, Sequence

from pullstudy.analysis.findings.bars import VERDICTS
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.pull_seconds import Downloads, assumptions, sample_of
from pullstudy.analysis.findings.thresholds import PROBABILITIES, Threshold, ThresholdError, Unit

_SAID = {True: "met", False: "missed", None: "cannot be told from these data"}


def checked_objective(threshold: Threshold) -> Threshold:
    """Itself. Raises ThresholdError where it is a bar for comparisons only."""
    if threshold.measure not in PROBABILITIES:
        raise ThresholdError(f"{threshold.text!r}: an objective is of {', '.join(PROBABILITIES)}")
    if threshold.unit is not Unit.SECONDS:
        raise ThresholdError(f"{threshold.text!r}: an objective has a time: 60s, 500ms or 1m30s")
    return threshold


def objective_findings(
    objectives: Iterable[Threshold], downloads: Sequence[Downloads], counts: str = "jobs"
) -> Iterator[Finding]:
    """Of all downloads together. One an objective, in their order."""
    known = [each for each in downloads if each.seconds]
    for objective in objectives:
        yield _finding(objective, known, counts) if known else _nothing(objective, counts)


def _finding(objective: Threshold, downloads: Sequence[Downloads], counts: str) -> Finding:
    sample = sample_of(downloads)
    found = sample.quantile(PROBABILITIES[objective.measure])
    if found is None:
        return _nothing(objective, counts, sample.units)
    holds = objective.holds(found.low, found.high)
    low, high = ("?" if bound is None else f"{bound:.3g}" for bound in (found.low, found.high))
    return Finding(
        id=FindingId.OBJECTIVE,
        subject=objective.text,
        value=found.value,
        interval=(found.low, found.high),
        unit="s",
        n=sample.units,
        counts=counts,
        verdict=VERDICTS[holds],
        evidence=(
            f"{objective.text}: {_SAID[holds]}; {objective.measure} is {found.value:.3g} s (95%: {low} to {high}), of "
            f"{len(sample.ordered):,} downloads in {sample.units:,} {counts}"
        ),
        assumptions=assumptions(downloads, sample, counts),
    )


def _nothing(objective: Threshold, counts: str, units: int = 0) -> Finding:
    return Finding(
        id=FindingId.OBJECTIVE,
        subject=objective.text,
        value=None,
        unit="s",
        n=units,
        counts=counts,
        verdict=Verdict.UNKNOWN,
        evidence=f"{objective.text}: {_SAID[None]}: too few downloads for it",
    )
