"""How far the nodes' clocks are from the control plane's and from each other."""

from pullstudy.analysis.findings.clock_skew import LEAST_DELAYS, NodeClock
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.html import Markup, paragraph, table, warning
from pullstudy.analysis.report.section import Block, Section

_SHOWN = 20
_EXPLAINED = (
    "A pod is scheduled by the control plane's clock before its node reports anything, and its container starts by "
    "the node's clock before the job completes: that bounds each node's offset. Within these bounds nodes are "
    "compared by their shortest delay from Scheduled to the kubelet's first event, which is about the same on all "
    "nodes of a cluster."
)


def build(facts: Facts) -> Section:
    clocks = [clock for clock in facts.clocks if clock.at_most_seconds is not None]
    if not clocks:
        words = "No pod has both a scheduler's and a kubelet's time, so that clocks cannot be compared."
        return Section("clocks", "Clocks of the nodes", (paragraph(words),))
    blocks: list[Block] = [paragraph(_EXPLAINED), _certain(clocks), _compared(facts, clocks)]
    standing_out = [clock for clock in clocks if clock.certainly_off or clock.beyond_noise]
    if standing_out:
        blocks.append(_table(facts, sorted(standing_out, key=_how_far_off, reverse=True)))
    return Section("clocks", "Clocks of the nodes", tuple(blocks))


def _how_far_off(clock: NodeClock) -> tuple[bool, float]:
    return (clock.certainly_off, abs(clock.against_others_seconds or 0))


def _certain(clocks: list[NodeClock]) -> Markup:
    off = sum(clock.certainly_off for clock in clocks)
    if off:
        return warning(f"{wording.plural(off, 'node')} had a clock that cannot be in step with the control plane's.")
    return paragraph("Every node's times are possible with a clock in step with the control plane's.")


def _compared(facts: Facts, clocks: list[NodeClock]) -> Markup:
    compared = [clock for clock in clocks if clock.noise_seconds is not None]
    few = len(clocks) - len(compared)
    not_compared = f"{wording.plural(few, 'node')} with fewer than {LEAST_DELAYS} pods had too few delays to compare."
    if not compared:
        return paragraph(not_compared)
    noise = {facts.series.label(clock.cluster): wording.seconds(clock.noise_seconds) for clock in compared}
    levels = wording.listed(
        [f"{seconds} in {wording.cluster_of(label)}" for label, seconds in noise.items()], at_most=8
    )
    beyond = sum(clock.beyond_noise for clock in compared)
    said = (
        f"{wording.plural(beyond, 'node')} of {len(compared):,} differ by more; of one that is later, the clock may be "
        "ahead, or its pods always wait longer"
        if beyond
        else f"none of {wording.plural(len(compared), 'node')} differs by more"
    )
    return paragraph(
        f"By that delay clocks can be told apart from {levels} on: less is the delay's jitter and the times' "
        f"resolution. Of these, {said}. {not_compared if few else ''}"
    )


def _table(facts: Facts, clocks: list[NodeClock]) -> Markup:
    rows = [
        [
            clock.node,
            facts.series.label(clock.cluster),
            wording.seconds(clock.against_others_seconds),
            wording.seconds(clock.noise_seconds),
            wording.seconds(clock.at_least_seconds),
            wording.seconds(clock.at_most_seconds),
            clock.observations,
        ]
        for clock in clocks[:_SHOWN]
    ]
    header = [
        "node",
        "nodes",
        "against the other nodes",
        "noise",
        "against the control plane, at least",
        "at most",
        "observations",
    ]
    more = f", the {_SHOWN} farthest of {len(clocks)}" if len(clocks) > _SHOWN else ""
    return table(header, rows, caption=f"Clocks that are off by more than the noise{more}; positive is ahead")
