"""What would have saved seconds, node-hours and money, by a model or by what the study has measured."""

from pullstudy.analysis.findings.finding import Finding, Verdict
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.html import paragraph, table
from pullstudy.analysis.report.section import Section

_NOT_TOLD = (
    "Not told: zstd in place of gzip, of which the model knows no rate (pulldriver profile tries it on an image); "
    "unpacking of several layers at once and more CPUs, for which it has no parameter. What is not listed saves less "
    "than 2% of the makespans or may save nothing. docs/predict.md says how each change is tried."
)


def build(facts: Facts) -> Section:
    rows = [_row(each) for each in facts.advice if each.verdict is Verdict.YES]
    said = [paragraph(f"{each.evidence[:1].upper()}{each.evidence[1:]}.") for each in facts.advice if not each.value]
    if rows:
        header = ("change", "what it rests on", "seconds of makespans", "95%", "node-hours", "cost")
        said.append(paragraph("Changes to these jobs, each alone, that would save something beyond chance:"))
        said.append(table(header, rows, caption="Advice", text_columns=2))
    return Section("advice", "What would save time", (*said, paragraph(_NOT_TOLD)))


def _row(found: Finding) -> list[object]:
    low, high = found.interval or (None, None)
    what, _, rest = found.evidence.partition(": ")
    seconds = wording.seconds(float(found.value)) if found.value is not None else wording.UNKNOWN
    cost = wording.money(found.money, found.currency or "")
    interval, hours = wording.seconds_interval(low, high), wording.number(found.node_hours)
    return [what, rest.partition("; ")[2], seconds, interval, hours, cost]
