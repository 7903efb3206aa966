"""What the study cost, by size and by image."""

from collections import defaultdict

from pullstudy.analysis.findings.cost import ClusterCost, NodePrice, cluster_costs
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, image_key
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import colour_by_series, rounded


def build(facts: Facts) -> Section:
    costs = cluster_costs(facts.study, facts.jobs)
    if not costs:
        return Section("cost", "Cost", (paragraph("No job's start and end are known, so node-hours are unknown."),))
    price = next((cost.price for cost in costs if cost.price), None)
    blocks: list[Block] = [paragraph(_words(price, costs, facts)), _sizes_table(facts, costs)]
    if price is not None:
        blocks.insert(1, _figure(facts, costs, price))
        blocks.append(_images_table(facts, price))
    return Section("cost", "Cost", tuple(blocks))


def total_cost(facts: Facts) -> str | None:
    """All clusters' jobs together, in words; None without a price."""
    costs = cluster_costs(facts.study, facts.jobs)
    priced = [cost for cost in costs if cost.amount is not None and cost.price is not None]
    if not priced or priced[0].price is None:
        return None
    return wording.money(sum(cost.amount or 0 for cost in priced), priced[0].price.currency)


def _words(price: NodePrice | None, costs: list[ClusterCost], facts: Facts) -> str:
    hours = wording.number(sum(cost.node_hours for cost in costs))
    if price is None:
        return f"{hours} node-hours from the first job to the last. The study names no price (imports have none)."
    each = f"{price.per_node_hour:g} {price.currency} a node-hour" + (f", as of {price.as_of}" if price.as_of else "")
    words = f"{hours} node-hours from each size's first job to its last, at {each}: {total_cost(facts)}."
    if facts.study.simulated:
        return f"{words} The clusters were simulated: it is what real nodes would have cost for the same time."
    return words


def _figure(facts: Facts, costs: list[ClusterCost], price: NodePrice) -> Figure:
    labels = [facts.series.label(cost.cluster) for cost in costs]
    rows = [
        {
            "series": facts.series.label(cost.cluster),
            "amount": rounded(cost.amount or 0),
            "hours": rounded(cost.node_hours),
        }
        for cost in costs
    ]
    colour = colour_by_series(facts.series.colours(labels))
    spec = {
        "height": 240,
        "data": {"values": rows},
        "mark": "bar",
        "encoding": {
            "x": {"field": "series", "type": "ordinal", "sort": labels, "title": "nodes", "axis": {"labelAngle": 0}},
            "y": {"field": "amount", "type": "quantitative", "title": price.currency},
            "color": {**colour, "legend": None},
            "tooltip": [{"field": "series"}, {"field": "amount"}, {"field": "hours", "title": "node-hours"}],
        },
    }
    return Figure("cost-by-size", "Cost of each cluster size, from its first job to its last", "", spec)


def _sizes_table(facts: Facts, costs: list[ClusterCost]) -> Markup:
    rows = [
        [
            facts.series.label(cost.cluster),
            wording.seconds(cost.jobs_seconds),
            wording.number(cost.node_hours),
            wording.money(cost.amount, cost.price.currency if cost.price else ""),
            wording.seconds(cost.lifetime_seconds),
            wording.money(cost.lifetime_amount, cost.price.currency if cost.price else ""),
        ]
        for cost in costs
    ]
    header = ["nodes", "first job to last", "node-hours", "cost", "cluster's lifetime", "cost of it"]
    return table(header, rows, caption="Cost by cluster size")


def _images_table(facts: Facts, price: NodePrice) -> Markup:
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for job in facts.jobs:
        if job.workload is not None and job.makespan_seconds is not None and job.size:
            seconds[job.workload, facts.series.label(job.cluster)] += job.makespan_seconds * job.size
    images = sorted({image for image, _ in seconds}, key=lambda image: image_key(image).order)
    rows = []
    for image in images:
        cells = [seconds.get((image, label)) for label in facts.series.labels]
        amounts = [value / 3600 * price.per_node_hour if value is not None else None for value in cells]
        shown = [wording.UNKNOWN if amount is None else f"{amount:.3f}" for amount in amounts]
        rows.append([wording.workload_name(image), *shown])
    header = ["image", *(f"{label} nodes" for label in facts.series.labels)]
    return table(header, rows, caption=f"{price.currency} by image: its jobs' makespans, all nodes, all repeats")
