"""What a node is busy with after the container started: what bounds the makespan, and at which rate volumes write."""

from collections.abc import Iterable
from typing import Any

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.writeback import JobPoint, steps
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, cache_order
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, element, paragraph, table
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections.box_chart import rounded

# Source: AWS, "General Purpose SSD volumes": a gp2 volume of up to 170 GiB has at most 128 MiB/s.
GP2_BYTES_PER_SECOND = 128 * 1024 * 1024
LEAST_SIZES = 3
_MODELLED = "The simulator's model has such volumes: to find in it what was put into it proves nothing of real nodes."


def build(facts: Facts) -> Section:
    groups = drawn_groups(facts)
    if not groups:
        words = "Jobs of at least three image sizes with a known end are needed for this; this study has too few."
        return Section("after-the-pull", "After the pull", (paragraph(words),))
    blocks: list[Block] = [
        paragraph(
            "The containers do nothing, yet jobs end long after they started: a container ends when its image is "
            "written, and a node's volume may still write it back from memory when the kubelet says Pulled. Compared "
            "are a fixed time, the pull and a fixed time, and the pull and the wait for the volume."
        ),
        _table(facts),
        element("ul", *(element("li", f"{subject}: {words}") for subject, words in answers(facts))),
    ]
    for (cache, layers), group in groups.items():
        words = f"{wording.plural(layers, 'layer')}, {cache_words(cache)}"
        figure = Figure(
            f"makespan-by-bytes-{cache}-{layers}-layers",
            f"Makespan and time to the last start, by unpacked bytes: {words}",
            "Circles: the job completed. Diamonds: its last container started. A job is one of each.",
            _spec(group),
        )
        blocks += [element("h3", words), figure, *_steps_table(group, words)]
    return Section("after-the-pull", "After the pull", tuple(blocks))


def drawn_groups(facts: Facts) -> dict[tuple[str, int], list[JobPoint]]:
    """Jobs by cache state and layer count, where there are three sizes of images or more."""
    groups: dict[tuple[str, int], list[JobPoint]] = {}
    for point in sorted(facts.points, key=lambda point: (cache_order(point.cache), point.layers)):
        groups.setdefault((point.cache, point.layers), []).append(point)
    return {key: group for key, group in groups.items() if len({point.image_bytes for point in group}) >= LEAST_SIZES}


def of_aws(facts: Facts) -> bool:
    """Whether the nodes' names are those that EC2 gives: only there can the volume be a gp2 one."""
    nodes = facts.counts.nodes
    return bool(nodes) and all(node.endswith((".compute.internal", ".ec2.internal")) for node in nodes)


def answers(facts: Facts) -> list[tuple[str, str]]:
    """Of all jobs and of each layer count: what bounds the makespan, and at which rate the volumes write."""
    subjects = dict.fromkeys(found.subject for found in facts.bounds)
    return [(subject, " ".join(_words(facts, subject))) for subject in subjects]


def _words(facts: Facts, subject: str) -> Iterable[str]:
    """A reason that is the bound's and the rate's is said once."""
    said = ""
    for found in facts.bounds:
        if found.subject == subject and found.evidence.partition(": ")[2] not in said:
            said += found.evidence
            yield found.evidence
            if found.id is FindingId.WRITE_RATE and found.verdict is Verdict.YES:
                yield from _beside(found, aws=of_aws(facts), simulated=facts.study.simulated)


def _beside(found: Finding, *, aws: bool, simulated: bool) -> Iterable[str]:
    """What is known of such a rate from elsewhere."""
    low, high = found.interval or (None, None)
    if simulated:
        yield _MODELLED
    elif aws and low is not None and high is not None and low <= GP2_BYTES_PER_SECOND <= high:
        yield f"A gp2 volume of up to 170 GiB is limited to {wording.rate(GP2_BYTES_PER_SECOND)}, which is within it."


def _table(facts: Facts) -> Markup:
    bounds = {each.subject: each for each in facts.bounds if each.id is FindingId.BOUND}
    rates = {each.subject: each for each in facts.bounds if each.id is FindingId.WRITE_RATE}
    rows = [
        [subject, bound.n, str(bound.value), wording.rate(_number(rates[subject])), _interval(rates[subject])]
        for subject, bound in bounds.items()
    ]
    return table(
        ["jobs of", "jobs", "bound by", "write rate", "95% interval"], rows, caption="What bounds the makespan"
    )


def _number(found: Finding) -> float | None:
    return found.value if isinstance(found.value, float) else None


def _interval(found: Finding) -> str:
    if found.interval is None:
        return wording.UNKNOWN
    return " to ".join(wording.rate(bound) for bound in found.interval)


def _spec(found: list[JobPoint]) -> dict[str, Any]:
    kinds = ["job completed", "last container started"]
    rows = [
        {"gigabytes": rounded(point.image_bytes / 1e9), "seconds": rounded(value), "nodes": point.size, "until": kind}
        for point in found
        for kind, value in zip(kinds, (point.makespan_seconds, point.started_seconds), strict=True)
    ]
    x: dict[str, Any] = {"field": "gigabytes", "type": "quantitative", "title": "total image size, unpacked, GB"}
    x["axis"] = {"format": "~g", "tickCount": 10}
    y = {"field": "seconds", "type": "quantitative", "title": "seconds since the job began"}
    colour = {"field": "until", "title": None, "scale": {"domain": kinds, "range": ["#dc6a2c", "#3d7fd9"]}}
    return {
        "height": 300,
        "encoding": {"x": x, "y": y, "color": {**colour, "type": "nominal"}},
        "layer": [
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


def _steps_table(group: list[JobPoint], words: str) -> list[Markup]:
    rows = [
        [
            f"{wording.size_of(step.from_bytes)} to {wording.size_of(step.to_bytes)}",
            wording.rate(step.pull_rate),
            wording.rate(step.makespan_rate),
        ]
        for step in steps(group)
    ]
    caption = f"At which rate the further bytes of a larger image came: {words}, medians of all jobs"
    header = ["from image to image", "into the pull", "into the makespan"]
    return [table(header, rows, caption=caption)] if rows else []
