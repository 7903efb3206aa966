"""The findings of a comparison: over all sizes, of each size, and of each image at a size."""

from collections.abc import Iterator

from pullstudy.analysis.findings.comparison import (
    Compared,
    ComparedStudies,
    Item,
    Quantity,
    QuantityCompared,
)
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.statistics.rate_ratio import RateChange
from pullstudy.analysis.statistics.speed_up import ASSUMED_FREEDOM, Answer, SpeedUp

IDS = {
    Quantity.PULLS: FindingId.SPEED_UP,
    Quantity.MAKESPAN: FindingId.MAKESPAN_SPEED_UP,
    Quantity.COST: FindingId.COST_RATIO,
    Quantity.RANGE: FindingId.SPREAD_RATIO,
    Quantity.P95: FindingId.P95_RATIO,
    Quantity.P99: FindingId.P99_RATIO,
}
_FAST = (Quantity.PULLS, Quantity.MAKESPAN)  # told as a speed-up; the others as a ratio of the second to the first
_VERDICTS = {
    Answer.FASTER: Verdict.YES,
    Answer.SLOWER: Verdict.YES,
    Answer.ALIKE: Verdict.NO,
    Answer.UNKNOWN: Verdict.UNKNOWN,
}
_COMPARATIVES = {
    Quantity.PULLS: ("faster", "slower"),
    Quantity.MAKESPAN: ("faster", "slower"),
    Quantity.COST: ("cheaper", "dearer"),
    Quantity.RANGE: ("narrower", "wider"),
    Quantity.P95: ("lower", "higher"),
    Quantity.P99: ("lower", "higher"),
}


def answer_words(quantity: Quantity, answer: Answer) -> str:
    """What the second is: faster, cheaper, narrower."""
    if answer not in (Answer.FASTER, Answer.SLOWER):
        return str(answer)
    return _COMPARATIVES[quantity][answer is Answer.SLOWER]


def shown(quantity: Quantity, found: SpeedUp) -> SpeedUp:
    """As it is told: a speed-up, or the second's over the first's."""
    return found if quantity in _FAST else found.inverse


def assumptions(found: ComparedStudies, quantity: QuantityCompared) -> tuple[str, ...]:
    """What the intervals rest on."""
    if quantity.same:
        return ("both are the same values",)
    if quantity.measured_clusters:
        return ("how much clusters differ is measured on these clusters",)
    return (
        f"clusters of one kind differ by {found.cluster_spread:.0%} (standard deviation), known as from "
        f"{ASSUMED_FREEDOM} clusters: too few are here to measure it",
    )


def comparison_findings(found: ComparedStudies) -> Iterator[Finding]:
    """Of each quantity what is over all sizes comes first."""
    for quantity in found.quantities.values():
        yield from _of_quantity(found, quantity, None)
    for kind, quantity in found.streamed.items():
        yield from _of_quantity(found, quantity, kind)
    if found.failures is not None:
        yield _of_failures(found.failures)


def _of_quantity(found: ComparedStudies, quantity: QuantityCompared, kind: str | None) -> Iterator[Finding]:
    said = assumptions(found, quantity)
    yield _finding(quantity.quantity, quantity.overall, "all", kind, said)
    for size, compared in quantity.sizes.items():
        yield _finding(quantity.quantity, compared, f"{size} nodes", kind, said, size=size)
    for (size, item), compared in quantity.images.items():
        subject = f"{size} nodes, {item.name}"
        yield _finding(quantity.quantity, compared, subject, kind, said, size=size, item=item)


def _finding(
    quantity: Quantity,
    compared: Compared,
    subject: str,
    kind: str | None,
    said: tuple[str, ...],
    *,
    size: int | None = None,
    item: Item | None = None,
) -> Finding:
    ratio = shown(quantity, compared.speed_up)
    subject = f"{subject}, {kind}" if kind is not None else subject
    unit = "times as fast" if quantity in _FAST else "of the first's"
    low, high = ("?" if bound is None else f"{bound:.3g}" for bound in (ratio.low, ratio.high))
    return Finding(
        id=IDS[quantity],
        subject=subject,
        value=ratio.value,
        interval=(ratio.low, ratio.high),
        unit=unit,
        n=compared.first_jobs + compared.second_jobs,
        counts="jobs",
        verdict=_VERDICTS[compared.answer],
        evidence=(
            f"{quantity} ({subject}): the second is {answer_words(quantity, compared.answer)}, "
            f"{ratio.value:.3g} {unit} (95%: {low} to {high})"
        ),
        assumptions=said,
        size=size,
        image=item.name if item else None,
        cache=item.cache if item else None,
    )


def _of_failures(rates: RateChange) -> Finding:
    low, high = rates.ratio_low, rates.ratio_high
    differ = (low is not None and low > 1) or (high is not None and high < 1)
    return Finding(
        id=FindingId.FAILURE_RATIO,
        subject="all",
        value=rates.ratio,
        interval=(low, high),
        unit="of the first's",
        n=rates.first + rates.second,
        counts="failed attempts",
        verdict=Verdict.YES if differ else Verdict.UNKNOWN,
        evidence=f"failed attempts: {rates.first:,} in the first, {rates.second:,} in the second",
        assumptions=("failed attempts of different jobs and owners are independent of each other",),
    )
