"""Stragglers: what the last pods cost, and which nodes were slow more than once."""

from pullstudy.analysis.findings.stragglers import JobSpread
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import box_spec

_SHOWN = 15


def build(facts: Facts) -> Section:
    spreads = facts.stragglers.spreads
    if not spreads:
        words = "No job has four pods or more whose start is known."
        return Section("stragglers", "Stragglers and slow nodes", (paragraph(words), _placement(facts)))
    blocks: list[Block] = [
        paragraph(
            "A straggler started later than its job's median by more than three robust deviations (1.4826 times the "
            "median deviation) and by more than a twentieth of the median. What the last pod costs is how much "
            "sooner the job would have been with every pod started by the median."
        ),
        paragraph(_finding(facts, spreads)),
        Figure(
            "straggler-cost",
            "What the last pod cost each job: seconds from the median start to the last",
            "A job a value.",
            _spec(facts, spreads),
        ),
        _nodes_table(facts),
        _placement(facts),
    ]
    return Section("stragglers", "Stragglers and slow nodes", tuple(blocks))


def _finding(facts: Facts, spreads: list[JobSpread]) -> str:
    late = sum(len(spread.stragglers) for spread in spreads)
    pods = sum(spread.pods for spread in spreads)
    cost = sum(spread.cost_seconds for spread in spreads)
    whole = sum(spread.makespan_seconds or 0 for spread in spreads)
    return (
        f"{wording.plural(late, 'straggler')} among {wording.plural(pods, 'pod')} of "
        f"{wording.plural(len(spreads), 'job')}. Waiting for the last pod cost {wording.seconds(cost)} in all, "
        f"{wording.percent(cost / whole if whole else None)} of the makespans."
    )


def _spec(facts: Facts, spreads: list[JobSpread]) -> dict[str, object]:
    values: dict[tuple[str, str], list[float]] = {}
    for spread in spreads:
        label = facts.series.label(spread.cluster)
        values.setdefault((label, label), []).append(spread.cost_seconds)
    labels = [label for label in facts.series.labels if (label, label) in values]
    spec = box_spec(values, labels, facts.series.colours(labels), x_title="nodes", y_title="seconds", height=240)
    # One box a category: side by side there is nothing to offset.
    spec["encoding"].pop("xOffset")
    spec["encoding"]["color"]["legend"] = None
    return spec


def _nodes_table(facts: Facts) -> Markup:
    nodes = [node for node in facts.stragglers.slowest_nodes() if node.straggled or node.median_excess_seconds > 0]
    rows = [
        [
            node.node,
            facts.series.label(node.cluster),
            node.pods,
            node.straggled,
            wording.seconds(node.median_excess_seconds),
            wording.seconds(node.worst_excess_seconds),
        ]
        for node in nodes[:_SHOWN]
    ]
    header = ["node", "nodes", "pods", "straggled", "median excess", "worst excess"]
    return table(header, rows, caption=f"The {len(rows)} slowest nodes, by excess over each job's median start")


def _placement(facts: Facts) -> Markup:
    """A study asks for one pod a node; where it did not get that, this says so."""
    shared = [job for job in facts.jobs if len(job.nodes) < job.placed_pods]
    if not shared:
        return paragraph("Every pod had a node of its own within its job.")
    return paragraph(
        f"In {wording.plural(len(shared), 'job')} of {len(facts.jobs)} several pods shared a node, so that one pull "
        "served several and other nodes had none: those jobs did not ask every node for the image."
    )
