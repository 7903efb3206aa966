"""Stragglers: what the last pods cost, and which nodes were slow more than once."""

from pullstudy.analysis.findings.stragglers import JobSpread
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, element, paragraph, table
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
            "A pod's time is its own, from its Pulling to its start: that the controller made it late is told apart. A "
            "straggler's time is beyond the scatter of its job's pods, by a limit that one job in a hundred passes by "
            "chance, whatever its size. A node is slow where it is so over several jobs; an image or a registry, where "
            "it has more stragglers than its share of the pulls."
        ),
        paragraph(_finding(facts, spreads)),
        element("ul", *(element("li", found.evidence) for found in facts.stragglers.findings()[:_SHOWN])),
        Figure(
            "straggler-cost",
            "What the slowest pod cost each job: seconds from the median pod's time to the longest",
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
        f"{wording.plural(len(spreads), 'job')}. Their slowest pods took {wording.seconds(cost)} longer than "
        f"the median ones, {wording.percent(cost / whole if whole else None)} of the makespans."
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
            f"{node.times:.2f}",
            wording.seconds(node.median_excess_seconds),
            wording.seconds(node.worst_excess_seconds),
        ]
        for node in nodes[:_SHOWN]
    ]
    header = ["node", "nodes", "pods", "straggled", "times as long", "median excess", "worst excess"]
    return table(header, rows, caption=f"The {len(rows)} slowest nodes, by excess over each job's median pod")


def _placement(facts: Facts) -> Markup:
    """A study asks for one pod a node; where it did not get that, this says so."""
    shared = [job for job in facts.jobs if len(job.nodes) < job.placed_pods]
    if not shared:
        return paragraph("Every pod had a node of its own within its job.")
    return paragraph(
        f"In {wording.plural(len(shared), 'job')} of {len(facts.jobs)} several pods shared a node, so that one pull "
        "served several and other nodes had none: those jobs did not ask every node for the image."
    )
