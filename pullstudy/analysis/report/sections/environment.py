"""The environment: what the nodes were, and a warning where compared clusters differ."""

from pullstudy.analysis.reading.environments import differences, environment_of
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.html import element, paragraph, table, warning
from pullstudy.analysis.report.section import Block, Section


def build(facts: Facts) -> Section:
    rows = [row for row in facts.study.ledger.clusters if row.cluster in facts.series.label_of]
    environments = {row.cluster: environment_of(row) for row in rows}
    if not any(environments.values()):
        words = "No environment was saved: import the nodes' JSON with the logs to have it here."
        return Section("environment", "Environment", (paragraph(words),))
    blocks: list[Block] = []
    differing = differences(environments)
    if differing:
        words = f"The clusters compared here differ in {wording.listed(list(differing))}."
        blocks.append(warning(words))
    else:
        blocks.append(paragraph("The clusters compared here have the same environment, as far as it was saved."))
    clusters = [cluster for cluster in facts.series.label_of if environments.get(cluster)]
    names = list(dict.fromkeys(name for cluster in clusters for name in environments[cluster]))
    names = [name for name in names if any(environments[cluster].get(name) for cluster in clusters)]
    shown = [name for name in names if name in differing or not name.startswith("configz.")]
    hidden = [name for name in names if name not in shown]
    header = ["", *(f"{facts.series.label(cluster)} nodes" for cluster in clusters)]

    def rows_of(of: list[str]) -> list[list[object]]:
        return [
            [name.replace("_", " "), *(environments[c].get(name, wording.UNKNOWN) for c in clusters)] for name in of
        ]

    columns = len(header)
    blocks.append(table(header, rows_of(shown), caption="Environment of the nodes", text_columns=columns))
    if hidden:
        rest = table(header, rows_of(hidden), caption="The kubelet's configuration", text_columns=columns)
        blocks.append(element("details", element("summary", "The kubelet's configuration, the same everywhere"), rest))
    return Section("environment", "Environment", tuple(blocks))
