"""Where the time goes: makespans split into phases, which of them grow with the cluster, and the critical paths."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.growth import Decomposition, PhaseBySize, PhaseVerdict
from pullstudy.analysis.findings.growth_finding import growth_verdict
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.colours import phase_colour
from pullstudy.analysis.report.facts import Facts, image_key
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, element, paragraph, table
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections.box_chart import rounded
from pullstudy.analysis.report.sections.participation import participation_blocks
from pullstudy.analysis.report.sections.pod_phases import critical_table, flags_words, phase_tables
from pullstudy.analysis.report.sections.wall_time import schedule_blocks
from pullstudy.analysis.statistics.doubling import Doubling
from pullstudy.analysis.statistics.regression import FittedLine
from pullstudy.pulls.milestone import Moment

_COARSE_SECONDS = 0.5
_SHOWN_SHARE = 0.05
_FEW, _WIDEST_BAR = 3, 70  # bars, and their pixels: one as wide as the chart looks like a background
_MOST_WORKLOADS = 40  # in a chart: more would be a smear


def build(facts: Facts) -> Section:
    if not facts.jobs:
        return Section("phases", "Where the time goes", (paragraph("No job is in this study."),))
    blocks: list[Block] = [
        paragraph(
            "A makespan is what a workload feels of its images: from its job's start to its end. A job is over when "
            "its last pod is, so its makespan is the phases of the pod that finished last, its critical path."
        ),
        *participation_blocks(facts),
    ]
    for decomposition in facts.decompositions:
        blocks.extend(_decomposition_blocks(facts, decomposition))
    if not facts.decompositions:
        several = len({job.size for job in facts.jobs}) > 1
        why = "No workload was run at every size" if several else "Not enough jobs have the same moments on record"
        blocks.append(paragraph(f"{why}, so that makespans cannot be compared by phase."))
    blocks.extend(schedule_blocks(facts))
    blocks.extend([*phase_tables(facts), critical_table(facts), flags_words(facts)])
    return Section("phases", "Where the time goes", tuple(blocks))


def answer(decomposition: Decomposition, *, tested: bool = True) -> str:
    """What makes jobs longer on more nodes, in a sentence or two; ``tested``: whether by chance, too."""
    small, large = decomposition.sizes[0], decomposition.sizes[-1]
    before, after = decomposition.makespan_seconds[small], decomposition.makespan_seconds[large]
    if small == large:
        return f"One size only, of makespans of {wording.seconds(before)} in all: growth needs two sizes."
    add_up = "is" if len(decomposition.workloads) == 1 else "add up to"
    head = (
        f"{_makespans(decomposition)} {add_up} {wording.seconds(before)} in the cluster of "
        f"{wording.plural(small, 'node')} and {wording.seconds(after)} in that of {wording.number(large)}"
    )
    beyond_chance = f" {growth_words(decomposition.per_doubling)}" if tested else ""
    if not decomposition.grew:
        shrank = decomposition.growth_seconds < -_SHOWN_SHARE * before
        less = f", {wording.seconds(before - after)} less" if shrank else ", no more than a twentieth apart"
        return f"{head}{less}.{beyond_chance} They consist of {_largest_parts(decomposition)}."
    return f"{head}, {wording.seconds(after - before)} more.{beyond_chance} {_what_grew(decomposition)}"


def growth_words(growth: Doubling | None) -> str:
    """Whether something grows with the nodes, and by how much."""
    if growth is None:
        return "Whether they grow cannot be told."
    clusters = wording.plural(growth.units, "cluster")
    if growth.low is None or growth.high is None:
        return f"Whether they grow cannot be told from {clusters}, since clusters differ by themselves."
    times = (
        f"{growth.value:.3f} times as long a doubling of the nodes (95%: {growth.low:.3f} to {growth.high:.3f}, "
        f"{clusters})"
    )
    return {
        Verdict.YES: f"They grow: {times}.",
        Verdict.NO: f"They do not grow by a twentieth or more: {times}.",
        Verdict.UNKNOWN: f"Whether they grow cannot be told: {times}.",
    }[growth_verdict(growth)]


def _workloads(decomposition: Decomposition) -> str:
    several = any(" + " in workload for workload in decomposition.workloads)
    count = len(decomposition.workloads)
    return wording.plural(count, "set of images", "sets of images") if several else wording.plural(count, "image")


def _makespans(decomposition: Decomposition) -> str:
    """Of what, and where they end that have no end on record."""
    words = f"The makespans of the {_workloads(decomposition)} that every size ran"
    if len(decomposition.workloads) == 1:
        words = f"The makespan of the one {_workloads(decomposition).partition(' ')[2]} that every size ran"
    if decomposition.until is Moment.JOB_COMPLETED:
        return words
    return f"{words} (until the last container was {decomposition.until}: not enough jobs have their end on record)"


def _what_grew(decomposition: Decomposition) -> str:
    """The phases with a twentieth or more of what got longer, and those that got as much shorter."""
    small, large = decomposition.sizes[0], decomposition.sizes[-1]
    ranked = sorted(decomposition.phases, key=lambda phase: -phase.growth_seconds(small, large))
    longer = [
        f"{wording.phase_name(phase.phase)} ({wording.percent(share)}, "
        f"{wording.seconds(phase.growth_seconds(small, large))} more"
        f"{'' if phase.resolved(small, large) else ', no more than its times can be off by'})"
        for phase in ranked
        if (share := decomposition.share_of_increase(phase) or 0) >= _SHOWN_SHARE
    ]
    least = -_SHOWN_SHARE * decomposition.growth_seconds
    shorter = [
        f"{wording.phase_name(phase.phase)} took {wording.seconds(-phase.growth_seconds(small, large))} less"
        for phase in ranked
        if phase.growth_seconds(small, large) <= least
    ]
    return f"What got longer is {wording.listed(longer)}{f'; {wording.listed(shorter)}' if shorter else ''}."


def _largest_parts(decomposition: Decomposition) -> str:
    """The phases that make a twentieth or more of the largest size's makespans."""
    large = decomposition.sizes[-1]
    whole = decomposition.makespan_seconds[large]
    if whole <= 0:
        return "moments that coincide"
    ranked = sorted(decomposition.phases, key=lambda phase: -phase.seconds[large])
    parts = [
        f"{wording.phase_name(phase.phase)} ({wording.percent(phase.seconds[large] / whole)}{_off(phase, whole)})"
        for phase in ranked
        if phase.seconds[large] >= _SHOWN_SHARE * whole
    ]
    return wording.listed(parts)


def _off(phase: PhaseBySize, whole: float) -> str:
    """How far off a phase's seconds may be, where that is a twentieth or more of the whole that it is a share of."""
    off = phase.resolution_seconds
    return f", off by at most {wording.seconds(off)}" if off >= _SHOWN_SHARE * whole else ""


def _decomposition_blocks(facts: Facts, decomposition: Decomposition) -> list[Block]:
    named = f" of run {decomposition.run}" if len({item.run for item in facts.decompositions}) > 1 else ""
    words = f"{_workloads(decomposition)}, {cache_words(decomposition.cache)}{named}"
    slug = f"{decomposition.cache}{'-' + _slug(decomposition.run) if named else ''}"
    largest = decomposition.sizes[-1]
    return [
        element("h3", words[0].upper() + words[1:]),
        paragraph(answer(decomposition)),
        Figure(
            f"phases-by-size-{slug}",
            f"Makespans by cluster size, by phase of the critical path: {words}",
            "Summed over what every size ran.",
            _stack_spec(_size_rows(decomposition), [str(size) for size in decomposition.sizes], "nodes in the cluster"),
        ),
        Figure(
            f"phases-by-image-{slug}",
            f"Makespan by image in the cluster of {wording.plural(largest, 'node')}, by phase of the critical path: "
            f"{words}",
            f"One job, or the mean of its repeats{_shown_of(decomposition)}.",
            _image_spec(facts, decomposition, largest),
        ),
        _growth_table(decomposition, words),
        *_growth_model(decomposition),
        *_remarks(decomposition),
    ]


def _shown_of(decomposition: Decomposition) -> str:
    count = len(decomposition.workloads)
    return f"; the {_MOST_WORKLOADS} longest of {count}" if count > _MOST_WORKLOADS else ""


def _remarks(decomposition: Decomposition) -> list[Markup]:
    """What was left out, and what times were moved."""
    found = []
    if decomposition.left_out:
        left = wording.plural(decomposition.left_out, "job")
        words = f"Left out: {left} that failed, with a moment missing, or of what not every size ran."
        found.append(paragraph(words))
    if decomposition.moved_seconds > 0:
        moved = (
            "A moment that its time puts before the one that it follows is counted as if it came together with it, by "
            f"{wording.seconds(decomposition.moved_seconds)} at most: times of whole seconds are cut off, and clocks "
            "differ. The sums stay the makespans."
        )
        found.append(paragraph(moved))
    return found


def _slug(run: str | None) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in run or "unnamed")


def _size_rows(decomposition: Decomposition) -> list[dict[str, Any]]:
    return [
        {"category": str(size), "phase": wording.phase_name(phase.phase), "seconds": rounded(seconds), "order": order}
        for order, phase in enumerate(decomposition.phases)
        for size, seconds in phase.seconds.items()
    ]


def _image_spec(facts: Facts, decomposition: Decomposition, size: int) -> dict[str, Any]:
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for job in facts.jobs:
        of_kind = (job.run, job.cache, job.size) == (decomposition.run, decomposition.cache, size) and not job.failed
        if of_kind and job.workload in decomposition.workloads:
            for segment in job.paths.get(decomposition.until, ()):
                sums[job.workload][segment.name].append(segment.seconds)
    means = {workload: {name: fmean(values) for name, values in found.items()} for workload, found in sums.items()}
    longest = sorted(means, key=lambda workload: -sum(means[workload].values()))[:_MOST_WORKLOADS]
    shown = sorted(longest, key=lambda workload: image_key(workload).order)
    labels = wording.workload_names(decomposition.workloads)
    names = [phase.phase for phase in decomposition.phases]
    rows = [
        {
            "category": labels[workload],
            "phase": wording.phase_name(name),
            "seconds": rounded(seconds),
            "order": names.index(name) if name in names else len(names),
        }
        for workload in shown
        for name, seconds in means[workload].items()
    ]
    return _stack_spec(rows, [labels[workload] for workload in shown], None, horizontal=True)


def _stack_spec(
    rows: list[dict[str, Any]], categories: Sequence[str], title: str | None, *, horizontal: bool = False
) -> dict[str, Any]:
    by_order = dict(sorted((row["order"], row["phase"]) for row in rows))
    phases = list(dict.fromkeys(by_order.values()))
    colours = [phase_colour(phase.replace(" → ", "_to_").replace(" ", "_")) for phase in phases]
    category: dict[str, Any] = {"field": "category", "type": "ordinal", "sort": list(categories), "title": title}
    seconds = {"field": "seconds", "type": "quantitative", "title": "seconds", "stack": True}
    category["axis"] = {"labelLimit": 240} if horizontal else {"labelAngle": 0}
    few = {"size": _WIDEST_BAR} if len(categories) <= _FEW and not horizontal else {}
    return {
        "height": max(60, 24 * len(categories)) if horizontal else 320,
        "data": {"values": rows},
        "mark": {"type": "bar", **few},
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
    total = [wording.seconds(decomposition.makespan_seconds[size]) for size in decomposition.sizes]
    phases = decomposition.phases
    columns: dict[str, list[str]] = {"phase": [*(wording.phase_name(phase.phase) for phase in phases), "makespan"]}
    for size, whole in zip(decomposition.sizes, total, strict=True):
        columns[wording.plural(size, "node")] = [*(wording.seconds(phase.seconds[size]) for phase in phases), whole]
    if any(phase.resolution_seconds >= _COARSE_SECONDS for phase in phases):
        columns["off by at most"] = [*map(_coarse, phases), ""]
    if small != large:
        grown = [wording.seconds(phase.growth_seconds(small, large)) for phase in phases]
        columns[f"{small} to {large}"] = [*grown, wording.seconds(decomposition.growth_seconds)]
        columns |= _growth_columns(decomposition)
    rows = list(zip(*columns.values(), strict=True))
    return table(list(columns), rows, caption=f"Seconds of the makespans by phase and the cluster's nodes: {words}")


def _coarse(phase: PhaseBySize) -> str:
    return wording.seconds(phase.resolution_seconds) if phase.resolution_seconds >= _COARSE_SECONDS else ""


def _growth_columns(decomposition: Decomposition) -> dict[str, list[str]]:
    """What got longer, and whether that is of the nodes."""
    columns = {}
    if decomposition.grew:
        shares = [wording.percent(decomposition.share_of_increase(phase)) for phase in decomposition.phases]
        columns["of what got longer"] = [*shares, ""]
    columns["grows?"] = [*map(str, decomposition.phase_verdicts()), ""]
    slopes = [_slope(phase.per_node, len(decomposition.workloads)) for phase in decomposition.phases]
    if any(interval != wording.UNKNOWN for _, interval in slopes):
        columns["a node more adds"] = [*(mean for mean, _ in slopes), ""]
        columns["95% interval"] = [*(interval for _, interval in slopes), ""]
    return columns


def _growth_model(decomposition: Decomposition) -> list[Markup]:
    """What the slopes and their intervals assume; nothing where there is one size."""
    line = next((phase.per_node for phase in decomposition.phases if phase.per_node is not None), None)
    if line is None:
        return []
    if line.slope_low is None:
        words = "What the jobs of one cluster share counts as chance, so that two clusters cannot tell growth."
        return [paragraph(words)]
    words = (
        f"What a node more adds is the slope of a straight line through {wording.plural(line.count, 'cluster')}, each "
        f"of them one value: the mean of its {_workloads(decomposition)}; slope and interval (Student's) are of all of "
        "these together. What the jobs of one cluster share counts as chance. All phases are tested together (Holm, "
        "5%). No: from the smallest size to the largest it adds surely less than a "
        f"twentieth of the makespans. {PhaseVerdict.UNRESOLVED.capitalize()}: it changed by no more than its times can "
        "be off by."
    )
    return [paragraph(words)]


def _slope(line: FittedLine | None, workloads: int) -> tuple[str, str]:
    """What a node more adds for all workloads together, and the interval of that."""
    if line is None or line.slope_low is None or line.slope_high is None:
        return wording.UNKNOWN, wording.UNKNOWN
    mean, low, high = (wording.seconds(each * workloads) for each in (line.slope, line.slope_low, line.slope_high))
    return mean, f"{low} to {high}"
