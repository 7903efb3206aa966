"""What a model had said of each job's pulls before it was run, beside what came."""

from collections.abc import Iterable

from pullstudy.analysis.findings.finding import Finding
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, image_key
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section

_HEADER = ("jobs", "of what was foretold", "95%", "pulls within bounds")


def build(facts: Facts) -> Section:
    found = facts.model_errors
    whole = [each for each in found if each.subject == "all"]
    sizes = [each for each in found if each.size is not None]
    images = sorted((each for each in found if each.image), key=lambda each: image_key(each.image or "").order)
    blocks: list[Block] = [paragraph(f"{each.evidence[:1].upper()}{each.evidence[1:]}.") for each in whole]
    blocks.append(
        paragraph(
            "Before each job for which all nodes had to pull the model was asked for its pulls. Above 100% these "
            "took longer than foretold; where a model's bounds are right 90% are within them. docs/predict.md says how "
            "it is asked."
        )
    )
    blocks.append(_table("nodes", [(each.subject, each) for each in sizes], "By cluster size"))
    blocks.append(_table("image", [(wording.image_name(each.image), each) for each in images], "By image"))
    return Section("foretold", "What the model had foretold", tuple(blocks))


def _table(first: str, rows: Iterable[tuple[str, Finding]], caption: str) -> Markup:
    return table((first, *_HEADER), [_row(name, each) for name, each in rows], caption=caption)


def _row(name: str, found: Finding) -> list[object]:
    low, high = found.interval or (None, None)
    interval = wording.UNKNOWN if low is None or high is None else f"{100 * low:.1f}% to {100 * high:.1f}%"
    times = found.value if isinstance(found.value, float) else None
    return [name, found.n, wording.percent(times), interval, wording.percent(found.coverage)]
