"""All pulls, of jobs and of all other pods: by registry, image, node, zone, namespace and owner, and over time."""

from collections.abc import Mapping
from typing import Any

from pullstudy.analysis.findings.pull_groups import Grouping, Name, PullTotals
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, image_key
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import rounded
from pullstudy.analysis.report.sections.rates import counts_unpacked, hardly_sent
from pullstudy.analysis.statistics.quantiles import quantile, upper_quantile

_SHOWN = 20
_OF_NODES = (Grouping.NODE, Grouping.ZONE, Grouping.INSTANCE_TYPE)
_LEAST_PULLS = 20  # for a place among the slow nodes: the median of a few is chance
_MINUTES = 5  # a course of fewer shows seconds
_DAYS = 1  # of more shows dates
_LEAST_STRETCHES = 3  # fewer are no course of time
_ALWAYS = 3  # columns: the name, how many and the median; others only where a row has something in them
_NOTHING = (0, "", wording.UNKNOWN)
_PLURALS = {
    Grouping.REGISTRY: "registries",
    Grouping.REPOSITORY: "repositories",
    Grouping.IMAGE: "images",
    Grouping.NODE: "nodes",
    Grouping.ZONE: "zones",
    Grouping.INSTANCE_TYPE: "instance types",
    Grouping.NAMESPACE: "namespaces",
    Grouping.OWNER: "owners of pods",
}


def build(facts: Facts) -> Section:
    whole = facts.pulls.all
    if not (whole.pulled or whole.cached or whole.failed):
        return Section("all-pulls", "All pulls", (paragraph("No pull of any pod is in this study."),))
    blocks: list[Block] = [paragraph(_words(facts)), *_over_time(facts)]
    images = len(facts.pulls.by(Grouping.IMAGE))
    for grouping in Grouping:
        groups = facts.pulls.by(grouping, facts.study.ledger.nodes)
        one_tag_each = grouping is Grouping.REPOSITORY and len(groups) == images
        if groups and not one_tag_each:
            blocks.append(_table(facts, grouping, groups))
    return Section("all-pulls", "All pulls", tuple(blocks))


def answer(facts: Facts) -> str:
    """How long they took, and how many failed; there is a pull of which that is known."""
    whole = facts.pulls.all
    failed = f"{wording.plural(whole.failed, 'attempt')} failed"
    return (
        f"{_quantiles(whole)}, of {wording.plural(len(whole.seconds), 'pull')} of {len(facts.counts.images):,} images "
        f"on {wording.plural(len(facts.counts.nodes), 'node')}; {failed}."
    )


def _quantiles(group: PullTotals) -> str:
    ordered = sorted(group.seconds)
    marks = [("median", quantile(ordered, 0.5)), *((f"p{p}", upper_quantile(ordered, p / 100)) for p in (95, 99))]
    return ", ".join(f"{name} {wording.seconds(value)}" for name, value in marks if value is not None)


def _words(facts: Facts) -> str:
    whole = facts.pulls.all
    rated = whole.rated_pulls and _is_rated(facts)
    rate = "; a rate is all bytes of a group, as the kubelet counts images, over all its seconds" if rated else ""
    rate += _not_of_the_link(facts) if rated else ""
    durations = f" ({_quantiles(whole)})" if whole.seconds else ""
    return (
        f"Every pull that is recorded, of a job's pod or of any other: {wording.plural(whole.pulled, 'pull')}"
        f"{durations}, {wording.plural(whole.cached, 'image')} found present, "
        f"{wording.plural(whole.failed, 'failed attempt')}, {wording.plural(whole.backed_off, 'back-off')}. Seconds "
        f"are the first duration of the kubelet's message{rate}. Tables are in the order of the time that was spent on "
        f"pulling, those of nodes of {_LEAST_PULLS} pulls or more by how slow these are: the median of a pull's "
        "seconds over the median of its image on all nodes."
    )


def _not_of_the_link(facts: Facts) -> str:
    """What a rate is where kubelets count more bytes than came."""
    more = sum(
        counts_unpacked(group.rated_bytes / group.rated_pulls, facts.compressed_bytes.get(name[0]))
        for name, group in facts.pulls.by(Grouping.IMAGE).items()
        if group.rated_pulls
    )
    return f", which for {wording.plural(more, 'image')} are unpacked ones: not the rate of the link" if more else ""


def _over_time(facts: Facts) -> list[Block]:
    stretches = facts.pulls.over_time()
    if len(stretches) < _LEAST_STRETCHES:
        return []
    course = (stretches[-1][0] - stretches[0][0]).total_seconds()
    each = wording.stretch(facts.pulls.stretch_seconds)
    counts: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for at, group in stretches:
        time = {"time": int(at.timestamp() * 1000)}
        for outcome, count in (("pulled", group.pulled), ("failed", group.failed), ("found present", group.cached)):
            if count:
                counts.append({**time, "outcome": outcome, "count": count})
        ordered = sorted(group.seconds)
        if ordered:
            marks.append({**time, "mark": "median", "seconds": rounded(quantile(ordered, 0.5))})
        high = upper_quantile(ordered, 0.95)
        if high is not None:
            marks.append({**time, "mark": "p95", "seconds": rounded(high)})
    blocks: list[Block] = [
        Figure(
            "pulls-over-time", f"Pulls over time, by {each}", "By when they ended, UTC.", _counts_spec(counts, course)
        )
    ]
    if marks:
        words = "Of the pulls that ended in each; p95 where these are 20 or more. UTC."
        blocks.append(
            Figure("durations-over-time", f"Pull duration over time, by {each}", words, _marks_spec(marks, course))
        )
    return blocks


def _time_axis(seconds: float) -> dict[str, Any]:
    """Its last label would be cut at the chart's edge: it is moved inside."""
    return {
        "field": "time",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc"},
        "axis": {"format": _time_format(seconds), "tickCount": 6, "labelFlush": True, "labelBound": True},
    }


def _time_format(seconds: float) -> str:
    """Of d3, of a course of so many seconds; hours are counted to 24."""
    if seconds < _MINUTES * 60:
        return "%H:%M:%S"
    return "%H:%M" if seconds < _DAYS * 86400 else "%b %d, %H:%M"


def _counts_spec(rows: list[dict[str, Any]], course: float) -> dict[str, Any]:
    domain = ["pulled", "failed", "found present"]
    colour = {"field": "outcome", "type": "nominal", "title": None}
    return {
        "height": 200,
        "data": {"values": rows},
        "mark": {"type": "bar", "binSpacing": 0, "width": 3},
        "encoding": {
            "x": _time_axis(course),
            "y": {"field": "count", "type": "quantitative", "title": "pulls", "stack": True},
            "color": {**colour, "scale": {"domain": domain, "range": ["#3d7fd9", "#c8363d", "#b9c1cc"]}},
            "tooltip": [{"field": "time", "type": "temporal"}, {"field": "outcome"}, {"field": "count"}],
        },
    }


def _marks_spec(rows: list[dict[str, Any]], course: float) -> dict[str, Any]:
    colour = {"field": "mark", "type": "nominal", "title": None}
    return {
        "height": 220,
        "data": {"values": rows},
        "mark": {"type": "point", "filled": True, "size": 26},  # a line would fill stretches in which nothing ended
        "encoding": {
            "x": _time_axis(course),
            "y": {"field": "seconds", "type": "quantitative", "title": "seconds", "scale": {"zero": True}},
            "color": {**colour, "scale": {"domain": ["median", "p95"], "range": ["#3d7fd9", "#dc6a2c"]}},
            "tooltip": [{"field": "time", "type": "temporal"}, {"field": "mark"}, {"field": "seconds"}],
        },
    }


def _table(facts: Facts, grouping: Grouping, groups: Mapping[Name, PullTotals]) -> Markup:
    of_nodes, rated = grouping in _OF_NODES, _is_rated(facts)
    slowness = facts.pulls.slowness(grouping, facts.study.ledger.nodes) if of_nodes else {}
    ranked = sorted(groups.items(), key=lambda item: _rank(item[0], item[1], slowness))
    rows = [
        [
            _name(facts, grouping, name),
            group.pulled,
            *_marks(group),
            *([f"{slowness[name]:.2f}" if name in slowness else wording.UNKNOWN] if of_nodes else []),
            wording.rate(group.bytes_per_second) if rated else wording.UNKNOWN,
            group.cached,
            group.failed,
            group.backed_off,
            group.commonest_failure or "",
        ]
        for name, group in ranked[:_SHOWN]
    ]
    marks = ["median", "p95", "p99", "slowest", *(["times its images' medians"] if of_nodes else [])]
    header = [grouping.value, "pulls", *marks, "rate", "found present", "failed", "back-offs", "mostly"]
    told = [place for place in range(len(header)) if place < _ALWAYS or any(row[place] not in _NOTHING for row in rows)]
    return table(
        [header[place] for place in told],
        [[row[place] for place in told] for row in rows],
        caption=_caption(grouping, len(ranked)),
    )


def _is_rated(facts: Facts) -> bool:
    """Not of images that come to almost nothing compressed: their bytes say nothing of the pull."""
    return not any(
        hardly_sent(image_key(name[0]).unpacked_bytes, group.rated_bytes / group.rated_pulls)
        for name, group in facts.pulls.by(Grouping.IMAGE).items()
        if group.rated_pulls
    )


def _rank(name: Name, group: PullTotals, slowness: Mapping[Name, float]) -> tuple[float, float, int, Name]:
    slow = slowness.get(name, 0.0) if len(group.seconds) >= _LEAST_PULLS else 0.0
    return (-slow, -sum(group.seconds), -group.failed, name)


def _caption(grouping: Grouping, count: int) -> str:
    if count <= _SHOWN:
        return f"By {grouping.value}"
    return f"By {grouping.value}: {_SHOWN} of {count:,} {_PLURALS[grouping]}; pulldriver export pulls has every pull"


def _name(facts: Facts, grouping: Grouping, name: Name) -> str:
    if grouping is Grouping.NODE:
        cluster, node = name
        return node if len(facts.series.labels) == 1 else f"{node}, {_of_cluster(facts.series.label(cluster))}"
    if grouping is Grouping.OWNER:
        namespace, kind, owner = name
        return " ".join(filter(None, (kind, f"{namespace}/{owner}" if namespace else owner)))
    return wording.image_name(name[0]) if grouping is Grouping.IMAGE else name[0]


def _of_cluster(label: str) -> str:
    """By its size; by its name where several clusters have it."""
    return f"of {label}" if label.isdigit() else label


def _marks(group: PullTotals) -> list[str]:
    ordered = sorted(group.seconds)
    if not ordered:
        return [wording.UNKNOWN] * 4
    high = (upper_quantile(ordered, probability) for probability in (0.95, 0.99))
    return list(map(wording.seconds, (quantile(ordered, 0.5), *high, ordered[-1])))
