"""Where the time goes: makespans split into phases, which of them grow with the cluster, and the critical paths."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pullstudy.analysis.findings.growth import Decomposition, PhaseBySize
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.colours import phase_colour
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, element, paragraph, table, warning
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections.box_chart import rounded
from pullstudy.analysis.report.sections.pod_phases import critical_table, flags_words, phase_tables

_COARSE_SECONDS = 0.5
_UNRESOLVED = "unresolved"


def build(facts: Facts) -> Section:
    if not facts.jobs:
        return Section("phases", "Where the time goes", (paragraph("No job is in this study."),))
    blocks: list[Block] = [
        paragraph(
            "A job is over when its last pod is: its makespan is the phases of the pod that finished last, "
            "its critical path. Wall time is the makespans and the time between jobs."
        )
    ]
    for decomposition in facts.decompositions:
        blocks.extend(_decomposition_blocks(facts, decomposition))
    if not facts.decompositions:
        blocks.append(paragraph("No image was pulled at every size, so that sizes cannot be compared by phase."))
    blocks.extend([*phase_tables(facts), critical_table(facts), flags_words(facts)])
    return Section("phases", "Where the time goes", tuple(blocks))


def answer(decomposition: Decomposition) -> str:
    """What makes runs longer on more nodes, in a sentence or two, from the numbers."""
    small, large = decomposition.sizes[0], decomposition.sizes[-1]
    before, after = decomposition.wall_seconds[small], decomposition.wall_seconds[large]
    head = (
        f"The same {wording.plural(len(decomposition.images), 'image')} took {wording.seconds(before)} of wall time "
        f"on {wording.plural(small, 'node')} and {wording.seconds(after)} on {wording.plural(large, 'node')}"
    )
    if small == large:
        return f"One size only, of {wording.seconds(before)} wall time: growth needs two sizes."
    ranked = _by_growth(decomposition)
    if decomposition.share_of_growth(ranked[0]) is None:
        less = "no growth to explain within these sizes (less than a twentieth)"
        return f"{head}: {less}. It consists of {_largest_parts(decomposition)}."
    parts = [
        f"{wording.phase_name(phase.phase)} ({wording.percent(decomposition.share_of_growth(phase))}, "
        f"{wording.seconds(phase.growth_seconds(small, large))} more"
        f"{'' if phase.resolved(small, large) else ', no more than its times can be off by'})"
        for phase in ranked
        if (decomposition.share_of_growth(phase) or 0) >= 0.05
    ]
    return f"{head}. The growth of {wording.seconds(after - before)} lies in {wording.listed(parts)}."


def _largest_parts(decomposition: Decomposition) -> str:
    """The phases that make a twentieth or more of the largest size's wall time."""
    large = decomposition.sizes[-1]
    whole = decomposition.wall_seconds[large]
    if whole <= 0:
        return "moments that coincide"
    ranked = sorted(decomposition.phases, key=lambda phase: -phase.seconds[large])
    parts = [
        f"{wording.phase_name(phase.phase)} ({wording.percent(phase.seconds[large] / whole)}{_off(phase, whole)})"
        for phase in ranked
        if phase.seconds[large] >= 0.05 * whole
    ]
    return wording.listed(parts)


def _off(phase: PhaseBySize, whole: float) -> str:
    """How far off a phase's seconds may be, where that is a twentieth or more of the whole that it is a share of."""
    off = phase.resolution_seconds
    return f", off by at most {wording.seconds(off)}" if off >= 0.05 * whole else ""


def _by_growth(decomposition: Decomposition) -> list[PhaseBySize]:
    small, large = decomposition.sizes[0], decomposition.sizes[-1]
    return sorted(decomposition.phases, key=lambda phase: -phase.growth_seconds(small, large))


def _decomposition_blocks(facts: Facts, decomposition: Decomposition) -> list[Block]:
    named = f" of run {decomposition.run}" if len({item.run for item in facts.decompositions}) > 1 else ""
    words = f"{wording.plural(len(decomposition.images), 'image')}, {cache_words(decomposition.cache)}{named}"
    slug = f"{decomposition.cache}{'-' + _slug(decomposition.run) if named else ''}"
    largest = decomposition.sizes[-1]
    blocks: list[Block] = [
        element("h3", words[0].upper() + words[1:]),
        paragraph(answer(decomposition)),
        Figure(
            f"phases-by-size-{slug}",
            f"Wall time by cluster size, by phase of the critical path: {words}",
            "Summed over the images that every size pulled.",
            _stack_spec(_size_rows(decomposition), [str(size) for size in decomposition.sizes], "nodes"),
        ),
        Figure(
            f"phases-by-image-{slug}",
            f"Makespan by image on {wording.plural(largest, 'node')}, by phase of the critical path: {words}",
            "One job an image, or the mean of its repeats.",
            _image_spec(facts, decomposition, largest),
        ),
        _growth_table(decomposition, words),
        *_growth_model(decomposition),
    ]
    blocks.extend(_below_zero(decomposition))
    if decomposition.left_out:
        left = wording.plural(decomposition.left_out, "job")
        blocks.append(
            paragraph(f"Left out: {left} that failed, with a moment missing, or of images that not every size pulled.")
        )
    return blocks


def _below_zero(decomposition: Decomposition) -> list[Markup]:
    """What a sum below zero means, where there is one."""
    lowest = [(min(phase.seconds.values()), phase.resolution_seconds) for phase in decomposition.phases]
    if any(seconds < -max(resolution, _COARSE_SECONDS) for seconds, resolution in lowest):
        return [warning("A sum is further below zero than its times' resolution allows: clocks disagree, see below.")]
    if any(seconds < 0 for seconds, _ in lowest):
        words = (
            "A sum below zero is within what its times can be off by: times of whole seconds are cut off, so that up "
            "to a second a job is counted in the phase after it instead of the one before."
        )
        return [paragraph(words)]
    return []


def _slug(run: str | None) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in run or "unnamed")


def _size_rows(decomposition: Decomposition) -> list[dict[str, Any]]:
    return [
        {"category": str(size), "phase": wording.phase_name(phase.phase), "seconds": rounded(seconds), "order": order}
        for order, phase in enumerate(decomposition.phases)
        for size, seconds in phase.seconds.items()
    ]


def _image_spec(facts: Facts, decomposition: Decomposition, size: int) -> dict[str, Any]:
    sums: dict[tuple[str, str], list[float]] = defaultdict(list)
    for job in facts.jobs:
        if job.size == size and job.image in decomposition.images and job.cache == decomposition.cache:
            for segment in job.path:
                sums[wording.image_name(job.image), segment.name].append(segment.seconds)
    categories = [wording.image_name(image) for image in decomposition.images]
    names = [phase.phase for phase in decomposition.phases]
    rows = [
        {
            "category": category,
            "phase": wording.phase_name(name),
            "seconds": rounded(sum(values) / len(values)),
            "order": names.index(name) if name in names else len(names),
        }
        for (category, name), values in sums.items()
    ]
    return _stack_spec(rows, categories, None, horizontal=True)


def _stack_spec(
    rows: list[dict[str, Any]], categories: Sequence[str], title: str | None, *, horizontal: bool = False
) -> dict[str, Any]:
    by_order = dict(sorted((row["order"], row["phase"]) for row in rows))
    phases = list(dict.fromkeys(by_order.values()))
    colours = [phase_colour(phase.replace(" → ", "_to_").replace(" ", "_")) for phase in phases]
    category: dict[str, Any] = {"field": "category", "type": "ordinal", "sort": list(categories), "title": title}
    seconds = {"field": "seconds", "type": "quantitative", "title": "seconds", "stack": True}
    if not horizontal:
        category["axis"] = {"labelAngle": 0}
    return {
        "height": max(140, 24 * len(categories)) if horizontal else 320,
        "data": {"values": rows},
        "mark": {"type": "bar"},
        "encoding": {
            ("y" if horizontal else "x"): category,
            ("x" if horizontal else "y"): seconds,
            "color": {
                "field": "phase",
                "type": "nominal",
                "title": None,
                "scale": {"domain": phases, "range": colours},
            },
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [{"field": "category"}, {"field": "phase"}, {"field": "seconds", "format": ".4~g"}],
        },
    }


def _growth_table(decomposition: Decomposition, words: str) -> Markup:
    small, large = decomposition.sizes[0], decomposition.sizes[-1]
    rows = [_growth_row(decomposition, phase) for phase in decomposition.phases]
    total = [wording.seconds(decomposition.wall_seconds[size]) for size in decomposition.sizes]
    rows.append(["wall time", *total, "", wording.seconds(decomposition.growth_seconds), "", "", "", ""])
    header = [
        "phase",
        *(wording.plural(size, "node") for size in decomposition.sizes),
        "off by at most",
        f"{small} to {large}",
        "of the growth",
        "grows?",
        "a node more adds",
        "95% interval",
    ]
    return table(header, rows, caption=f"Seconds by phase and cluster size: {words}")


def _growth_model(decomposition: Decomposition) -> list[Markup]:
    """What the slopes and their intervals assume; nothing where too few jobs give any."""
    lines = [
        line for phase in decomposition.phases if (line := phase.per_node) is not None and line.slope_low is not None
    ]
    if not lines:
        return []
    return [
        paragraph(
            f"What a node more adds is the slope of a straight line over {len(decomposition.sizes)} sizes, by least "
            f"squares, with a level for each image; slope and interval are of all "
            f"{wording.plural(len(decomposition.images), 'image')} together, from {lines[0].count} means of an image's "
            "jobs at a size. Growth that is no straight line is averaged. The interval (Student's) takes jobs as "
            "independent: what all jobs of one cluster share is in the slope and not in the interval. Of such phases "
            f"one in twenty seems to grow or shrink by chance; {len(lines)} are tested here. "
            f"{_UNRESOLVED.capitalize()}: it changed by no more than its times can be off by."
        )
    ]


def _growth_row(decomposition: Decomposition, phase: PhaseBySize) -> list[object]:
    small, large = decomposition.sizes[0], decomposition.sizes[-1]
    return [
        wording.phase_name(phase.phase),
        *(wording.seconds(phase.seconds[size]) for size in decomposition.sizes),
        wording.seconds(phase.resolution_seconds) if phase.resolution_seconds >= _COARSE_SECONDS else "",
        wording.seconds(phase.growth_seconds(small, large)),
        wording.percent(decomposition.share_of_growth(phase)),
        *_slope(phase, len(decomposition.images), phase.resolved(small, large)),
    ]


def _slope(phase: PhaseBySize, images: int, resolved: bool) -> list[str]:
    """Whether the phase grows significantly, by how much a node, and the interval of that, for all images together."""
    line = phase.per_node
    if line is None:
        return ["", wording.UNKNOWN, wording.UNKNOWN]
    mean = wording.seconds(line.slope * images)
    if line.slope_low is None or line.slope_high is None:
        return ["", mean, wording.UNKNOWN]
    verdict = "yes" if line.grows else "shrinks" if line.slope_high < 0 else "no"
    if verdict != "no" and not resolved:
        verdict = _UNRESOLVED
    interval = f"{wording.seconds(line.slope_low * images)} to {wording.seconds(line.slope_high * images)}"
    return [verdict, mean, interval]
