"""How far the nodes' clocks are from the control plane's and from each other."""

from collections import defaultdict

from pullstudy.analysis.findings.clock_skew import NodeClock
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table, warning
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import box_spec

_SHOWN = 20


def build(facts: Facts) -> Section:
    clocks = facts.clocks
    against = [clock for clock in clocks if clock.against_others_seconds is not None]
    if not against:
        words = "No pod has both a scheduler's and a kubelet's time, so that clocks cannot be compared."
        return Section("clocks", "Clocks of the nodes", (paragraph(words),))
    off = [clock for clock in clocks if clock.certainly_off]
    verdict = (
        warning(f"{wording.plural(len(off), 'node')} had a clock that cannot be in step with the control plane's.")
        if off
        else paragraph("Every node's times are possible with a clock in step with the control plane's.")
    )
    blocks: list[Block] = [
        paragraph(
            "A pod is scheduled by the control plane's clock before its node reports anything, and its container "
            "starts by the node's clock before the job completes: that bounds each node's offset. The shortest delay "
            "from Scheduled to the kubelet's first event is the same on all nodes, so that what a node has more of it "
            "than the median node is its clock's offset from theirs, to within that delay's jitter."
        ),
        verdict,
        Figure(
            "clock-offsets",
            "Offset of each node's clock from the median node's",
            "A node a value, in milliseconds.",
            _spec(facts, against),
        ),
        _table(facts, off or sorted(against, key=lambda clock: -abs(clock.against_others_seconds or 0))[:_SHOWN]),
    ]
    return Section("clocks", "Clocks of the nodes", tuple(blocks))


def _spec(facts: Facts, clocks: list[NodeClock]) -> dict[str, object]:
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for clock in clocks:
        label = facts.series.label(clock.cluster)
        values[label, label].append((clock.against_others_seconds or 0.0) * 1000)
    labels = [label for label in facts.series.labels if (label, label) in values]
    spec = box_spec(values, labels, facts.series.colours(labels), x_title="nodes", y_title="milliseconds", height=220)
    spec["encoding"].pop("xOffset")
    spec["encoding"]["color"]["legend"] = None
    return spec


def _table(facts: Facts, clocks: list[NodeClock]) -> Markup:
    rows = [
        [
            clock.node,
            facts.series.label(clock.cluster),
            wording.seconds(clock.against_others_seconds),
            wording.seconds(clock.at_least_seconds),
            wording.seconds(clock.at_most_seconds),
            clock.observations,
        ]
        for clock in clocks[:_SHOWN]
    ]
    header = ["node", "nodes", "from the others", "from the control plane, at least", "at most", "observations"]
    return table(header, rows, caption="Clock offsets that stand out most; positive is ahead")
