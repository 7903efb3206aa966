"""The loss audit: pulls expected, and seen in events, pod status, spool and store; gaps of the watch; rejects."""

from collections import defaultdict

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.html import Markup, paragraph, table, warning
from pullstudy.analysis.report.section import Block, Section
from pullstudy.store.embedded.ledger import Audit

_SHOWN = 20


def build(facts: Facts) -> Section:
    blocks: list[Block] = [*_audit(facts), *_gaps(facts), *_rejects(facts)]
    return Section("losses", "Loss audit", tuple(blocks))


def _audit(facts: Facts) -> list[Markup]:
    audits = facts.study.ledger.audits
    if not audits:
        return _unaudited(facts)
    by_cluster: dict[str, list[Audit]] = defaultdict(list)
    for audit in audits:
        by_cluster[audit.cluster].append(audit)
    ordered = [cluster for cluster in facts.series.label_of if cluster in by_cluster]
    ordered += sorted(set(by_cluster) - set(ordered))
    rows = [_audit_row(facts, cluster, by_cluster[cluster]) for cluster in ordered]
    header = ["nodes", "accounted for", "expected", "events", "pod status", "spool", "store", "recovered", "missing"]
    missing = sum(audit.expected - audit.accounted for audit in audits)
    recovered = sum(audit.recovered for audit in audits)
    expected = sum(audit.expected for audit in audits)
    accounted = f"{expected - missing:,}/{expected:,} accounted for"
    words = f"{accounted}, {recovered:,} recovered from pod status, {missing:,} missing."
    return [
        warning(words) if missing else paragraph(words),
        table(header, rows, caption="Pulls by where they were seen; a pull is one container of one pod"),
    ]


def _unaudited(facts: Facts) -> list[Markup]:
    """What a log can tell: how many pulls its jobs would make on all nodes, and what the exporter left out."""
    discarded = sum(facts.discards.values())
    blocks = [paragraph("No audit was made: imported logs do not state which pulls their cluster was asked for.")]
    if discarded:
        blocks.append(
            warning(
                f"The exporter discarded {wording.plural(discarded, 'event')} as too old, by its own log:"
                " what they told is missing from every figure."
            )
        )
    rows = [
        [facts.series.label(each.cluster), each.jobs, each.expected, each.present, each.discarded]
        for each in facts.unaudited
    ]
    header = ["nodes", "jobs", "size x images", "pulls on record", "events discarded"]
    caption = "How many pulls there would be with a pod of each job on every node, and how many are on record"
    return [*blocks, table(header, rows, caption=caption)] if rows else blocks


def _audit_row(facts: Facts, cluster: str, audits: list[Audit]) -> list[object]:
    def total(name: str) -> int:
        return sum(getattr(audit, name) or 0 for audit in audits)

    accounted, expected = total("accounted"), total("expected")
    spooled = total("spooled") if any(audit.spooled is not None for audit in audits) else wording.UNKNOWN
    seen = [total("events"), total("pod_status"), spooled, total("stored"), total("recovered")]
    return [
        facts.series.label(cluster),
        f"{accounted:,}/{expected:,}",
        expected,
        *seen,
        expected - accounted,
    ]


def _gaps(facts: Facts) -> list[Markup]:
    gaps = facts.gaps
    if not gaps:
        return [paragraph("The watch had no gap that is known.")]
    rows = [
        [gap.cluster, gap.why, gap.from_version or "the beginning", gap.to_version, wording.moment_of(gap.found_at)]
        for gap in gaps[:_SHOWN]
    ]
    words = f"{wording.plural(len(gaps), 'gap')} in the watch: what came and went within one is unknown."
    header = ["cluster", "why", "from version", "to version", "found"]
    return [warning(words), table(header, rows, caption="Gaps of the watch", text_columns=5)]


def _rejects(facts: Facts) -> list[Markup]:
    if not facts.rejects:
        return [paragraph("All input was understood.")]
    ranked = sorted(facts.rejects.items(), key=lambda item: -item[1].times)
    rows = [[*named, rejected.position, rejected.times] for named, rejected in ranked[:_SHOWN]]
    times = sum(rejected.times for rejected in facts.rejects.values())
    words = f"{wording.plural(times, 'piece')} of input could not be understood; they are kept whole in the store."
    return [
        warning(words),
        table(["source", "problem", "first at", "times"], rows, caption="Rejects", text_columns=3),
    ]
