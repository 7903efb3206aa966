"""Whether something grows with the nodes, as one finding: of pulls or makespans, of all of them or of a part."""

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.statistics.doubling import Doubling

RELEVANT = 1.05  # times a doubling: less growth from 4 to 256 nodes is less than by 1.34


def growth_verdict(growth: Doubling | None, held: bool | None = None) -> Verdict:
    """Yes beyond chance; no where it is surely less than RELEVANT.

    ``held``: whether it differs from no growth where others were tested with it; None where it was tested alone.
    """
    if growth is None or growth.low is None or growth.high is None:
        return Verdict.UNKNOWN
    if growth.low > 1 if held is None else held and growth.value > 1:
        return Verdict.YES
    return Verdict.NO if growth.high < RELEVANT else Verdict.UNKNOWN


def growth_finding(
    identity: FindingId,
    subject: str,
    growth: Doubling | None,
    verdict: Verdict,
    evidence: str,
    assumptions: tuple[str, ...],
    *,
    clusters: int,
    cache: str,
    run: str | None,
    image: str | None = None,
) -> Finding:
    """Of clusters too few to tell growth from their differences no number is claimed."""
    bounded = growth if growth and growth.low is not None else None
    return Finding(
        id=identity,
        subject=subject,
        value=bounded.value if bounded else None,
        interval=(bounded.low, bounded.high) if bounded else None,
        unit="times a doubling of the nodes",
        n=clusters,
        counts="clusters",
        verdict=verdict,
        evidence=evidence,
        assumptions=assumptions,
        cache=cache,
        run=run,
        image=image,
    )
