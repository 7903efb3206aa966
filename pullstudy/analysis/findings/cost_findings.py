"""What a study cost, as findings: of all clusters, and by size."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pullstudy.analysis.findings.cost import ClusterCost
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict

_ASSUMED = ("nodes are paid for from a cluster's first job to its last",)


def cost_findings(costs: Iterable[ClusterCost]) -> Iterator[Finding]:
    """One without a value where no price is known."""
    costs = list(costs)
    if not costs:
        return
    yield _finding(costs, "all", None)
    by_size: dict[int, list[ClusterCost]] = defaultdict(list)
    for cost in costs:
        by_size[cost.size].append(cost)
    for size, found in by_size.items():
        yield _finding(found, f"{size} nodes", size)


def _finding(costs: Sequence[ClusterCost], subject: str, size: int | None) -> Finding:
    prices = [cost.price for cost in costs]
    currencies = {price.currency for price in prices if price}
    hours = sum(cost.node_hours for cost in costs)
    known = None not in prices and len(currencies) == 1
    amount = sum(cost.amount or 0.0 for cost in costs) if known else None
    currency = currencies.pop() if known else ""
    words = f"{amount:.2f} {currency}" if amount is not None else "no price is known"
    return Finding(
        id=FindingId.COST,
        subject=subject,
        value=amount,
        unit=currency,
        n=len(costs),
        counts="clusters",
        verdict=Verdict.YES if known else Verdict.UNKNOWN,
        evidence=f"{subject}: {hours:.3g} node-hours, {words}",
        assumptions=_ASSUMED,
        size=size,
    )
