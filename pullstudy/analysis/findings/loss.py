"""Whether pulls that should be on record are not, by the audits of a sweep."""

from collections.abc import Iterable, Iterator

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.store.embedded.ledger import Audit


def losses(audits: Iterable[Audit]) -> Iterator[Finding]:
    """Of all jobs together. Without an audit nothing says which pulls there should be."""
    audits = list(audits)
    expected = sum(audit.expected for audit in audits)
    missing = expected - sum(audit.accounted for audit in audits)
    words = (
        f"{missing:,} of {expected:,} pulls are not on record" if audits else "no audit: what should be here is unknown"
    )
    yield Finding(
        id=FindingId.LOSS,
        subject="all",
        value=float(missing) if audits else None,
        interval=(float(missing), float(missing)) if audits else None,
        unit="pulls",
        n=expected,
        counts="pulls",
        verdict=(Verdict.YES if missing else Verdict.NO) if audits else Verdict.UNKNOWN,
        evidence=words,
        assumptions=("a pull is one container of one pod",) if audits else (),
    )
