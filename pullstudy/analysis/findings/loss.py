"""Whether pulls that should be on record are not, by the audits of a sweep; of imported logs, what a log can tell."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.store.embedded.ledger import Audit


@dataclass(frozen=True, slots=True)
class Unaudited:
    """A cluster of imported logs: the pulls that its jobs make with a pod on every node, and those on record."""

    cluster: str
    jobs: int
    expected: int  # size x images, of each job
    present: int  # of jobs
    discarded: int  # events that the exporter did not write


def without_audit(
    jobs: Iterable[JobSummary], present: Mapping[str, int], discards: Mapping[str, int]
) -> list[Unaudited]:
    """Of each cluster that has jobs."""
    by_cluster: dict[str, list[JobSummary]] = defaultdict(list)
    for job in jobs:
        by_cluster[job.cluster].append(job)
    return [
        Unaudited(
            cluster,
            len(found),
            sum((job.size or 0) * max(1, len(job.images)) for job in found),
            present.get(cluster, 0),
            discards.get(cluster, 0),
        )
        for cluster, found in by_cluster.items()
    ]


def losses(audits: Iterable[Audit], unaudited: Iterable[Unaudited] = (), discarded: int = 0) -> Iterator[Finding]:
    """Of all jobs together. ``discarded`` events are of all clusters; without an audit nothing says what is missing."""
    audits = list(audits)
    if not audits:
        yield _unknown(list(unaudited), discarded)
        return
    expected = sum(audit.expected for audit in audits)
    missing = expected - sum(audit.accounted for audit in audits)
    yield Finding(
        id=FindingId.LOSS,
        subject="all",
        value=float(missing),
        interval=(float(missing), float(missing)),
        unit="pulls",
        n=expected,
        counts="pulls",
        verdict=Verdict.YES if missing else Verdict.NO,
        evidence=f"{missing:,} of {expected:,} pulls are not on record{_discarded(discarded)}",
        assumptions=("a pull is one container of one pod",),
    )


def _unknown(unaudited: Sequence[Unaudited], discarded: int) -> Finding:
    expected = sum(each.expected for each in unaudited)
    return Finding(
        id=FindingId.LOSS,
        subject="all",
        value=None,
        unit="pulls",
        n=expected,
        counts="pulls",
        verdict=Verdict.UNKNOWN,
        evidence=f"No audit was made{_beside(unaudited, expected)}{_discarded(discarded)}",
        assumptions=("every job was to run a pod on every node, of all its images",) if expected else (),
    )


def _beside(unaudited: Sequence[Unaudited], expected: int) -> str:
    if not expected:
        return ": what should be here is unknown"
    present = sum(each.present for each in unaudited)
    return f": {present:,} pulls of jobs are on record, and a pod of each job on every node would make {expected:,}"


def _discarded(events: int) -> str:
    if not events:
        return ""
    return f"; the exporter discarded {events:,} event{'s' if events > 1 else ''} as too old, which are in no figure"
