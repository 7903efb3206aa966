"""A comparison as text: the answer first, then the sizes, then what differs."""

from collections.abc import Iterable, Iterator, Sequence

from pullstudy.analysis.comparison.compare import Comparison
from pullstudy.analysis.findings.comparison import Compared, ComparedStudies, Quantity, QuantityCompared
from pullstudy.analysis.findings.comparison_findings import answer_words, assumptions, shown
from pullstudy.analysis.findings.stage_differences import LEAST_SHARE, WORDS, StageCompared
from pullstudy.analysis.report import wording
from pullstudy.analysis.statistics.speed_up import SpeedUp

MOST_DIFFERENCES = 5  # shown unasked
BOUNDLESS = 1_000.0  # times; no cause makes a pull so much faster or slower
_SIZES = (Quantity.PULLS, Quantity.MAKESPAN)  # that have a table by size unasked
_TITLES = {
    Quantity.PULLS: "median pull",
    Quantity.MAKESPAN: "makespan",
    Quantity.COST: "cost of a job",
    Quantity.RANGE: "interquartile range",
    Quantity.P95: "p95",
    Quantity.P99: "p99",
}


def lines(comparison: Comparison, *, whole: bool = False) -> Iterator[str]:
    """``whole``: each image at each size too, each quantity by size, and all that differs."""
    yield f"first: {comparison.first}   second: {comparison.second}"
    for which, notes in zip(("first", "second"), comparison.notes, strict=True):
        yield from (f"note on the {which}: {note}" for note in notes)
    yield ""
    found = comparison.compared
    if not found.quantities:
        yield "No image was pulled at the same size in the same cache state in both: nothing to compare."
    else:
        yield from _overall(found)
        for quantity in found.quantities.values():
            if whole or quantity.quantity in _SIZES:
                yield from _sizes(found, quantity)
            if whole and quantity.images:
                yield from _images(found, quantity)
    if comparison.stages:
        yield from _stages(comparison.stages, whole)
    for bar in comparison.bars:
        yield from ("", bar.evidence)
    yield from _differences(comparison, whole)
    yield from _notes(found)


def _overall(found: ComparedStudies) -> Iterator[str]:
    header = ("over all sizes", "first", "second", "ratio", "95% interval", "the second is", "jobs")
    rows = [
        (_TITLES[quantity.quantity], *_cells(found, quantity, quantity.overall))
        for quantity in found.quantities.values()
    ]
    parts = [(f"  pulls {kind}", *_cells(found, part, part.overall)) for kind, part in found.streamed.items()]
    yield from _text_table(header, [*rows[:1], *parts, *rows[1:]])
    differing = [_TITLES[quantity.quantity] for quantity in found.quantities.values() if quantity.sizes_differ]
    if differing:
        yield f"Sizes differ beyond chance in {wording.listed(differing)}: what is over all of them says little of one."
    if found.failures is not None and found.failures.first + found.failures.second:
        yield f"failed attempts: {found.failures.first:,} in the first, {found.failures.second:,} in the second"


def _sizes(found: ComparedStudies, quantity: QuantityCompared) -> Iterator[str]:
    yield ""
    header = (
        f"{_TITLES[quantity.quantity]}, nodes",
        "first",
        "second",
        "ratio",
        "95% interval",
        "the second is",
        "jobs",
    )
    parts = found.streamed.items() if quantity.quantity is Quantity.PULLS else ()
    rows = [(str(size), *_cells(found, quantity, compared)) for size, compared in quantity.sizes.items()]
    of_parts = [
        (f"{size}, {kind}", *_cells(found, part, compared))
        for kind, part in parts
        for size, compared in part.sizes.items()
    ]
    yield from _text_table(header, of_parts or rows)


def _images(found: ComparedStudies, quantity: QuantityCompared) -> Iterator[str]:
    yield ""
    header = ("image", "nodes", "cache", "first", "second", "ratio", "95% interval", "the second is", "jobs")
    rows = sorted(quantity.images.items(), key=lambda row: (row[0][1], row[0][0]))
    yield from _text_table(
        header,
        [(item.name, str(size), item.cache, *_cells(found, quantity, each)) for (size, item), each in rows],
    )


def _stages(stages: Sequence[StageCompared], whole: bool) -> Iterator[str]:
    """Where inside of pulls the difference lies."""
    yield ""
    header = ("inside of pulls", "first", "second", "difference", "times as long", "95% interval", "it is", "jobs")
    yield from _text_table(header, [(each.name, *_stage_cells(each.overall)) for each in stages])
    if whole:
        by_size = [(f"{size}, {each.name}", *_stage_cells(of)) for each in stages for size, of in each.sizes.items()]
        by_image = [
            (f"{item.name}, {size}, {each.name}", *_stage_cells(of))
            for each in stages
            for (size, item), of in each.images.items()
        ]
        yield from ("", *_text_table(("nodes, stage", *header[1:]), by_size))
        yield from ("", *_text_table(("image, nodes, stage", *header[1:]), by_image))
    yield f"Seconds a pull, means over the images. Stages of under {LEAST_SHARE:.1%} of a pull count as so much."


def _stage_cells(each: Compared) -> tuple[str, ...]:
    return (
        wording.seconds(each.first),
        wording.seconds(each.second),
        f"{each.second - each.first:+.3g} s",
        f"{each.speed_up.value:.3f}",
        _interval(each.speed_up),
        WORDS[each.answer],
        f"{each.first_jobs}/{each.second_jobs}",
    )


def _cells(found: ComparedStudies, quantity: QuantityCompared, each: Compared) -> tuple[str, ...]:
    ratio = shown(quantity.quantity, each.speed_up)
    return (
        _level(quantity.quantity, each.first, found.currency),
        _level(quantity.quantity, each.second, found.currency),
        f"{ratio.value:.3f}",
        _interval(ratio),
        answer_words(quantity.quantity, each.answer),
        f"{each.first_jobs}/{each.second_jobs}",
    )


def _level(quantity: Quantity, value: float, currency: str | None) -> str:
    return wording.money(value, currency or "") if quantity is Quantity.COST else wording.seconds(value)


def _interval(ratio: SpeedUp) -> str:
    bounds = [_bound(bound) for bound in (ratio.low, ratio.high)]
    return "unknown" if bounds == ["?", "?"] else " to ".join(bounds)


def _bound(bound: float | None) -> str:
    """Beyond a thousand times it bounds nothing: two sizes that contradict each other leave such ones."""
    return f"{bound:.3f}" if bound is not None and 1 / BOUNDLESS < bound < BOUNDLESS else "?"


def _differences(comparison: Comparison, whole: bool) -> Iterator[str]:
    if not comparison.differences:
        return
    yield from ("", "What differs:")
    told = comparison.differences if whole else comparison.differences[:MOST_DIFFERENCES]
    yield from (f"- {difference}" for difference in told)
    more = len(comparison.differences) - len(told)
    if more:
        yield f"- {wording.plural(more, 'more difference')}: --all or --json tells them"


def _notes(found: ComparedStudies) -> Iterator[str]:
    if not found.quantities:
        return
    yield ""
    yield "Pulls and makespans: how many times as fast the second is. The others: the second's over the first's."
    yield "A job is one value. Verdicts are corrected for all rows of their table (Holm, 5%); alike: surely within 10%."
    for assumption in dict.fromkeys(each for part in found.quantities.values() for each in assumptions(found, part)):
        yield f"Assumed: {assumption}." if "differ by" in assumption else f"{assumption.capitalize()}."


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = [header, *rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    for line in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
