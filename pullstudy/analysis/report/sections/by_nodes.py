"""Durations and makespans against the number of nodes: a panel an image, points with their intervals."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pullstudy.analysis.findings.growth import Decomposition
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.colours import PHASE_COLOURS
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Panel, Panels
from pullstudy.analysis.report.html import paragraph
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import rounded
from pullstudy.analysis.report.sections.pull_samples import (
    SampledImage,
    SampleGroup,
    not_shown,
    panel_names,
    sample_groups,
)
from pullstudy.analysis.statistics.quantile_intervals import ClusteredSample, QuantileEstimate

PULL, MAKESPAN = "pull, median", "makespan, median of the jobs"
_COLOURS = {PULL: PHASE_COLOURS["pulling_to_pulled"], MAKESPAN: PHASE_COLOURS["finished_to_job_completed"]}
_ONE_SIZE = "Pulls of one cluster size are here: how durations change with the number of nodes needs two sizes or more."

Point = tuple[int, QuantileEstimate]
Units = Sequence[Sequence[float]]


def build(facts: Facts) -> Section:
    blocks: list[Block] = []
    sizes = _sizes(facts)
    makespans = _makespans(facts.decompositions, facts)
    for group in sample_groups(facts):
        panels = [panel for image in group.shown if (panel := _panel(group, image, sizes, makespans))]
        if panels:
            blocks += [_panels(group, panels, makespans), *not_shown(group)]
    if not blocks:
        return Section("nodes", "Against the number of nodes", (paragraph(_ONE_SIZE),))
    return Section("nodes", "Against the number of nodes", (paragraph(_explained(facts)), *blocks))


def _explained(facts: Facts) -> str:
    ends = {wording.phase_name(str(item.until)) for item in facts.decompositions}
    until = f" A makespan is a job's time from its start until {wording.listed(sorted(ends))}." if ends else ""
    return (
        "An image's median download at each cluster size, with its 95% interval as a band. What the pulls of one job "
        "share is in that interval; what those of one cluster share is not, so that a step between two sizes can be "
        f"a difference of two clusters.{until} Where so few pulls bound nothing there is no band, and none of one "
        "job's makespan. Every panel's scale begins at 0 and is its own; a doubling of the nodes is as wide "
        "everywhere."
    )


def _sizes(facts: Facts) -> dict[str, int]:
    """Nodes by series."""
    return {facts.series.label(job.cluster): job.size for job in facts.jobs if job.size}


Makespans = Mapping[tuple[str, str], Mapping[int, Units]]  # by cache state and image, at each size: a unit a job


def _makespans(decompositions: Iterable[Decomposition], facts: Facts) -> Makespans:
    """Those that are compared: up to the moment that the jobs of all sizes have; by the images of one workload only."""
    found: dict[tuple[str, str], dict[int, list[Sequence[float]]]] = defaultdict(lambda: defaultdict(list))
    for item in decompositions:
        own = _of_one_workload(item.workloads)
        for job in facts.jobs:
            of_kind = (job.run, job.cache) == (item.run, item.cache) and not job.failed
            if of_kind and job.size and job.workload in item.workloads and (path := job.paths.get(item.until)):
                for image in own.intersection(job.images):
                    found[job.cache, image][job.size].append([sum(segment.seconds for segment in path)])
    return found


def _of_one_workload(workloads: Iterable[str]) -> set[str]:
    """An image that several workloads share has no makespan of its own."""
    counts = Counter(image for workload in workloads for image in workload.split(" + "))
    return {image for image, count in counts.items() if count == 1}


def _panel(group: SampleGroup, image: SampledImage, sizes: Mapping[str, int], makespans: Makespans) -> Panel | None:
    """None where it was pulled at fewer than two sizes."""
    of_size: dict[int, list[Sequence[float]]] = defaultdict(list)
    for label, units in image.units.items():
        if label in sizes:
            of_size[sizes[label]].extend(units)
    if len(of_size) < 2:
        return None
    lines = {PULL: _points(of_size), MAKESPAN: _points(makespans.get((group.cache, image.key.image), {}))}
    return Panel(panel_names(group.shown)[image.key], image.key.image, _spec(lines))


def _points(of_size: Mapping[int, Units]) -> list[Point]:
    estimates = ((size, ClusteredSample([units]).quantile(0.5)) for size, units in sorted(of_size.items()))
    return [(size, estimate) for size, estimate in estimates if estimate is not None]


def _panels(group: SampleGroup, panels: Sequence[Panel], makespans: Makespans) -> Panels:
    drawn = {image.key.image for image in group.shown}
    alone = not any(cache == group.cache and image in drawn for cache, image in makespans)
    return Panels(
        f"by-nodes-{group.slug}",
        f"{'Pull duration' if alone else 'Pull duration and makespan'} against nodes: {group.words}",
        "A panel an image, smaller images first; seconds over the nodes of the cluster.",
        panels,
        {PULL: _COLOURS[PULL]} if alone else _COLOURS,
    )


def _spec(lines: Mapping[str, Sequence[Point]]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"kind": kind, "nodes": size, **_row(found)} for kind, points in lines.items() for size, found in points
    ]
    nodes = sorted({size for points in lines.values() for size, _ in points})
    kinds = [kind for kind, points in lines.items() if points]
    y = {"type": "quantitative", "title": "seconds", "scale": {"zero": True, "nice": True}}
    band = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    value = {"y": {**y, "field": "value"}}
    return {
        "height": 130,
        "data": {"values": rows},
        "encoding": {
            "x": {
                "field": "nodes",
                "type": "quantitative",
                "title": "nodes",
                "scale": {"type": "log", "base": 2, "nice": False, "domain": [nodes[0] * 0.85, nodes[-1] / 0.85]},
                "axis": {"values": nodes, "format": "d", "grid": False},
            },
            "color": {
                "field": "kind",
                "type": "nominal",
                "title": None,
                "scale": {"domain": kinds, "range": [_COLOURS[kind] for kind in kinds]},
            },
            "tooltip": [{"field": "kind"}, *({"field": name, "format": ".4~g"} for name in _TOLD)],
        },
        "layer": [
            {"mark": {"type": "area", "opacity": 0.25}, "transform": [_BOUNDED], "encoding": band},
            {"mark": {"type": "rule", "strokeWidth": 1}, "transform": [_BOUNDED], "encoding": band},
            {"mark": {"type": "line", "strokeWidth": 1.2}, "encoding": value},
            {"mark": {"type": "point", "filled": True, "size": 28}, "encoding": value},
        ],
    }


_TOLD = ("nodes", "value", "low", "high")
_BOUNDED = {"filter": "isValid(datum.low) && isValid(datum.high)"}


def _row(found: QuantileEstimate) -> dict[str, float | None]:
    return {
        "value": rounded(found.value),
        "low": None if found.low is None else rounded(found.low),
        "high": None if found.high is None else rounded(found.high),
    }
