"""Pulls that failed, and the kubelets' waiting between attempts, by class of the cause."""

from collections import Counter

from pullstudy.analysis.findings.failed_pulls import FailedPulls
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import colour_by_series

_SHOWN = 20


def build(facts: Facts) -> Section:
    failed = facts.failed
    words = paragraph(
        f"{wording.plural(failed.attempts, 'failed attempt')}, {wording.plural(failed.backed_off, 'back-off')} and "
        f"{wording.plural(facts.pulls.all.cached, 'image')} found present, in the pods of the study's jobs and in "
        "others around them."
    )
    if not failed.attempts:
        return Section("failures", "Failures", (words,))
    figure = Figure(
        "failures-by-class",
        "Failed pulls by class of their cause",
        "Each attempt counts; an event that was repeated counts as often as its count.",
        _spec(facts),
    )
    blocks: list[Block] = [words, figure, _texts_table(failed)]
    failed_jobs = [job for job in facts.study.ledger.jobs if job.error]
    if failed_jobs:
        rows = [[job.job, wording.image_name(job.image), job.size, job.error] for job in failed_jobs[:_SHOWN]]
        blocks.append(table(["job", "image", "nodes", "error"], rows, caption="Jobs that ended early", text_columns=4))
    return Section("failures", "Failures", tuple(blocks))


def _spec(facts: Facts) -> dict[str, object]:
    counts: Counter[tuple[str, str]] = Counter()
    for (failure, cluster), attempts in facts.failed.by_class.items():
        counts[failure, facts.series.label(cluster)] += attempts
    rows = [{"class": kind, "series": label, "attempts": count} for (kind, label), count in counts.items()]
    labels = [label for label in facts.series.labels if any(row["series"] == label for row in rows)]
    others = sorted({str(row["series"]) for row in rows} - set(labels))
    classes = sorted({kind for kind, _ in counts})
    return {
        "height": max(80, 34 * len(classes)),
        "data": {"values": rows},
        "mark": "bar",
        "encoding": {
            "y": {"field": "class", "type": "nominal", "title": None},
            "x": {"field": "attempts", "type": "quantitative", "title": "failed attempts", "axis": {"tickMinStep": 1}},
            "color": colour_by_series(facts.series.colours([*labels, *others])),
            "tooltip": [{"field": "class"}, {"field": "series", "title": "nodes"}, {"field": "attempts"}],
        },
    }


def _texts_table(failed: FailedPulls) -> Markup:
    ranked = sorted(failed.texts.items(), key=lambda item: -item[1].attempts)
    rows = [[kind, text, said.attempts, len(said.nodes)] for (kind, text), said in ranked[:_SHOWN]]
    caption = "Error messages"
    if len(ranked) > _SHOWN:
        shown = sum(said.attempts for _, said in ranked[:_SHOWN])
        caption = f"Error messages: the {_SHOWN} of {shown:,} of {failed.attempts:,} attempts"
    return table(["class", "text", "attempts", "nodes"], rows, caption=caption, text_columns=2)
