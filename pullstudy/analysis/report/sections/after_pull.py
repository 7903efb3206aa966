"""What a node is busy with after the container started: does the volume's write rate set the makespan?"""

from typing import Any

from pullstudy.analysis.findings.writeback import JobPoint, RateFit, fit_makespan, fit_started, steps
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, cache_order
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, element, paragraph, table
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections.box_chart import rounded

# Source: AWS, "General Purpose SSD volumes": a gp2 volume of up to 170 GiB has at most 128 MiB/s.
GP2_BYTES_PER_SECOND = 128 * 1024 * 1024
LEAST_SIZES = 3
_MODELLED = (
    "The simulator's model has such a volume, with a write rate fitted to real logs: that this line is found shows "
    "that the analysis works, and nothing of real nodes."
)


def build(facts: Facts) -> Section:
    groups = fitted_groups(facts)
    if not groups:
        words = "Jobs of at least three image sizes with a known end are needed for this; this study has too few."
        return Section("after-the-pull", "After the pull", (paragraph(words),))
    blocks: list[Block] = [
        paragraph(
            "The containers do nothing, yet jobs end long after they started. If a node's volume still writes the "
            "image back from memory when the kubelet says Pulled, a job takes a fixed time plus unpacked bytes over "
            "the volume's write rate, whatever the pull itself took."
        )
    ]
    for (cache, layers), group in groups.items():
        words = f"{wording.plural(layers, 'layer')}, {cache_words(cache)}"
        figure = Figure(
            f"makespan-by-bytes-{cache}-{layers}-layers",
            f"Makespan and time to the last start, by unpacked bytes: {words}",
            "Circles: the job completed. Diamonds: its last container started. A job is one of each.",
            _spec(group),
        )
        blocks += [
            element("h3", words),
            paragraph(finding(group, aws=of_aws(facts), simulated=facts.study.simulated)),
            figure,
            _steps_table(group, words),
        ]
    blocks.append(_table(groups))
    return Section("after-the-pull", "After the pull", tuple(blocks))


def fitted_groups(facts: Facts) -> dict[tuple[str, int], list[JobPoint]]:
    """Jobs by cache state and layer count, where three sizes of images or more make a line."""
    groups: dict[tuple[str, int], list[JobPoint]] = {}
    for point in sorted(facts.points, key=lambda point: (cache_order(point.cache), point.layers)):
        groups.setdefault((point.cache, point.layers), []).append(point)
    return {key: group for key, group in groups.items() if len({point.image_bytes for point in group}) >= LEAST_SIZES}


def of_aws(facts: Facts) -> bool:
    """Whether the nodes' names are those that EC2 gives: only there can the volume be a gp2 one."""
    nodes = facts.counts.nodes
    return bool(nodes) and all(node.endswith((".compute.internal", ".ec2.internal")) for node in nodes)


def finding(group: list[JobPoint], *, aws: bool, simulated: bool = False) -> str:
    """The hypothesis, tested on one layer count's jobs: what the fits say."""
    whole, started = fit_makespan(group), fit_started(group)
    if whole is None or started is None:
        return "These jobs make no line."
    rate = f"{wording.rate(whole.rate)} (95%: {wording.rate(whole.rate_low)} to {wording.rate(whole.rate_high)})"
    text = (
        f"Over {wording.plural(whole.count, 'job')}, makespan = {wording.seconds(whole.overhead_seconds)} + "
        f"bytes / {rate}, R² {_r(whole)}. The line through the last starts alone: "
        f"{wording.seconds(started.overhead_seconds)} + bytes / {wording.rate(started.rate)}, R² {_r(started)}. "
    )
    if simulated:  # to find in the model what was put into it proves nothing
        return f"{text}{_MODELLED}"
    return text + _verdict(whole, started, aws) + _step_words(group)


def _verdict(whole: RateFit, started: RateFit, aws: bool) -> str:
    if whole.rate is None or whole.r_squared is None or whole.r_squared < 0.95:
        return "One write rate does not explain these makespans."
    if started.r_squared is not None and started.r_squared >= whole.r_squared:
        return "The pulls themselves fit a straight line as well, so this is no evidence about the volume."
    distance = whole.rate / GP2_BYTES_PER_SECOND - 1
    known = f"; a gp2 volume of up to 170 GiB is limited to {wording.rate(GP2_BYTES_PER_SECOND)}, {_apart(distance)}"
    return (
        f"One write rate explains the makespans better than the pulls do{known if aws and abs(distance) < 0.1 else ''}."
    )


def _apart(distance: float) -> str:
    return f"{wording.percent(abs(distance))} {'below' if distance > 0 else 'above'} the fitted rate"


def _r(fit: RateFit) -> str:
    return wording.UNKNOWN if fit.r_squared is None else f"{fit.r_squared:.4f}"


def _spec(found: list[JobPoint]) -> dict[str, Any]:
    kinds = ["job completed", "last container started"]
    rows = [
        {"gigabytes": rounded(point.image_bytes / 1e9), "seconds": rounded(value), "nodes": point.size, "until": kind}
        for point in found
        for kind, value in zip(kinds, (point.makespan_seconds, point.started_seconds), strict=True)
    ]
    ends = (min(point.image_bytes for point in found), max(point.image_bytes for point in found))
    lines = [
        {"gigabytes": rounded(end / 1e9), "seconds": rounded(fit.overhead_seconds + end / fit.rate), "until": kind}
        for kind, fit in zip(kinds, (fit_makespan(found), fit_started(found)), strict=True)
        if fit is not None and fit.rate is not None
        for end in ends
    ]
    x: dict[str, Any] = {"field": "gigabytes", "type": "quantitative", "title": "total image size, unpacked, GB"}
    x["axis"] = {"format": "~g"}
    y = {"field": "seconds", "type": "quantitative", "title": "seconds since the job began"}
    colour = {"field": "until", "title": None, "scale": {"domain": kinds, "range": ["#dc6a2c", "#3d7fd9"]}}
    return {
        "height": 300,
        "encoding": {"x": x, "y": y, "color": {**colour, "type": "nominal"}},
        "layer": [
            {"data": {"values": lines}, "mark": {"type": "line", "strokeWidth": 1.5}},
            {
                "data": {"values": rows},
                "mark": {"type": "point", "size": 36, "opacity": 0.85},
                "encoding": {
                    "shape": {
                        "field": "until",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": kinds, "range": ["circle", "diamond"]},
                    },
                    "tooltip": [{"field": name} for name in ("until", "gigabytes", "seconds", "nodes")],
                },
            },
        ],
    }


def _steps_table(group: list[JobPoint], words: str) -> Markup:
    rows = [
        [
            f"{wording.size_of(step.from_bytes)} to {wording.size_of(step.to_bytes)}",
            wording.rate(step.pull_rate),
            wording.rate(step.makespan_rate),
        ]
        for step in steps(group)
    ]
    caption = f"At which rate the further bytes of the next larger image came: {words}, medians of all jobs"
    return table(["from image to image", "into the pull", "into the makespan"], rows, caption=caption)


def _step_words(group: list[JobPoint]) -> str:
    """How the pull's own rate changes over image sizes, where it falls to the makespans' rate."""
    rates = [step for step in steps(group) if step.pull_rate is not None and step.makespan_rate is not None]
    if len(rates) < LEAST_SIZES:
        return ""
    first, last = rates[0], rates[-1]
    fell = (first.pull_rate or 0) > 1.5 * (last.pull_rate or 0)
    met = abs((last.pull_rate or 0) / (last.makespan_rate or 1) - 1) < 0.15
    if not (fell and met):
        return ""
    return (
        f" The pulls themselves come to that rate too: from {wording.size_of(first.from_bytes)} to "
        f"{wording.size_of(first.to_bytes)} further bytes came at {wording.rate(first.pull_rate)}, from "
        f"{wording.size_of(last.from_bytes)} to {wording.size_of(last.to_bytes)} at {wording.rate(last.pull_rate)}, "
        "as if the memory for unwritten pages were full by then."
    )


def _table(groups: dict[tuple[str, int], list[JobPoint]]) -> Markup:
    rows = []
    for (cache, layers), group in groups.items():
        for size in sorted({point.size or 0 for point in group}):
            whole = fit_makespan([point for point in group if (point.size or 0) == size])
            if whole is not None:
                bounds = f"{wording.rate(whole.rate_low)} to {wording.rate(whole.rate_high)}"
                cells = [wording.seconds(whole.overhead_seconds), wording.rate(whole.rate), bounds, _r(whole)]
                rows.append([cache_words(cache), layers, size or wording.UNKNOWN, whole.count, *cells])
    header = ["cache", "layers", "nodes", "jobs", "fixed time", "rate", "95% interval", "R²"]
    return table(header, rows, caption="The line through the makespans at each cluster size")
