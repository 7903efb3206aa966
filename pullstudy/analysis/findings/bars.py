"""``compare --fail-if``: whether the second study is beyond a bar, and not by chance.

A ratio is the second's over the first's. Seconds are more than the first's own mean. Failures without a point are
failed attempts more than by the first's rate.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pullstudy.analysis.findings.comparison import ComparedStudies, Quantity
from pullstudy.analysis.findings.finding import Finding, FindingId, Interval, Verdict
from pullstudy.analysis.findings.thresholds import Measure, Threshold, Unit
from pullstudy.analysis.statistics.rate_ratio import RateChange

Bar = Threshold

_QUANTITIES = {
    Measure.MEDIAN: Quantity.PULLS,
    Measure.P95: Quantity.P95,
    Measure.P99: Quantity.P99,
    Measure.MAKESPAN: Quantity.MAKESPAN,
    Measure.COST: Quantity.COST,
}
VERDICTS = {True: Verdict.YES, False: Verdict.NO, None: Verdict.UNKNOWN}
_SAID = {True: "met", False: "not met", None: "cannot be told from these data"}


@dataclass(frozen=True)
class _Seen:
    """What a bar is held against. ``limit`` is the bar's number as a number of this kind."""

    value: float | None
    interval: Interval
    limit: float
    unit: str
    n: int
    counts: str
    settled: bool | None = None  # what is so without an interval


def bar_findings(bars: Iterable[Bar], found: ComparedStudies) -> Iterator[Finding]:
    """One a bar, in their order."""
    for bar in bars:
        seen = _failures(bar, found.failures) if bar.measure is Measure.FAILURES else _ratio(bar, found)
        yield _nothing(bar) if seen is None else _finding(bar, seen)


def _finding(bar: Bar, seen: _Seen) -> Finding:
    holds = seen.settled if seen.settled is not None else bar.holds(*seen.interval, seen.limit)
    low, high = ("?" if bound is None else f"{bound:.3g}" for bound in seen.interval)
    value = "unknown" if seen.value is None else f"{seen.value:.3g}"
    return Finding(
        id=FindingId.BAR,
        subject=bar.text,
        value=seen.value,
        interval=seen.interval,
        unit=seen.unit,
        n=seen.n,
        counts=seen.counts,
        verdict=VERDICTS[holds],
        evidence=f"{bar.text}: {_SAID[holds]}; {value} ({low} to {high}) against {seen.limit:.3g}",
    )


def _nothing(bar: Bar) -> Finding:
    return Finding(
        id=FindingId.BAR,
        subject=bar.text,
        value=None,
        unit="of the first's",
        n=0,
        counts="jobs",
        verdict=Verdict.UNKNOWN,
        evidence=f"{bar.text}: {_SAID[None]}: too little of it is in both studies",
    )


def _ratio(bar: Bar, found: ComparedStudies) -> _Seen | None:
    compared = found.quantities.get(_QUANTITIES[bar.measure])
    if compared is None:
        return None
    overall = compared.overall
    ratio = overall.speed_up.inverse
    limit = bar.number if bar.unit is Unit.RATIO else 1 + bar.number / overall.first if overall.first else None
    if limit is None:
        return None
    jobs = overall.first_jobs + overall.second_jobs
    return _Seen(ratio.value, (ratio.low, ratio.high), limit, "of the first's", jobs, "jobs")


def _failures(bar: Bar, rates: RateChange | None) -> _Seen | None:
    if rates is None:
        return None
    # None at all are not more than before, however little was tried.
    settled = not bar.above if not rates.second else None
    n = rates.first + rates.second
    if bar.unit is Unit.COUNT:
        interval = (rates.more_low, rates.more_high)
        return _Seen(rates.more, interval, bar.number, "failed attempts more", n, "failed attempts", settled)
    ratio = (rates.ratio_low, rates.ratio_high)
    return _Seen(rates.ratio, ratio, bar.number, "of the first's", n, "failed attempts", settled)
