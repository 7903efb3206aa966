"""Pulls that failed, and the kubelets' waiting between attempts, by class of the cause."""

from collections import Counter, defaultdict

from pullstudy.analysis.reading.study import latest_states
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import colour_by_series
from pullstudy.pulls.failure import classify
from pullstudy.pulls.record import Outcome, PullRecord

_SHOWN = 20


def build(facts: Facts) -> Section:
    records = [*facts.study.pulls, *facts.study.other_pulls]
    failed = [record for record in records if record.outcome is Outcome.FAILED]
    backed_off = latest_states([record for record in records if record.outcome is Outcome.BACKOFF])
    cached = sum(record.outcome is Outcome.CACHED for record in records)
    words = paragraph(
        f"{wording.plural(sum(record.count for record in latest_states(failed)), 'failed attempt')}, "
        f"{wording.plural(sum(record.count for record in backed_off), 'back-off')} and "
        f"{wording.plural(cached, 'image')} found present, in the pods of the study's jobs and in others around them."
    )
    if not failed:
        return Section("failures", "Failures", (words,))
    figure = Figure(
        "failures-by-class",
        "Failed pulls by class of their cause",
        "Each attempt counts; an event that was repeated counts as often as its count.",
        _spec(facts, latest_states(failed)),
    )
    blocks: list[Block] = [words, figure, _texts_table(latest_states(failed))]
    failed_jobs = [job for job in facts.study.ledger.jobs if job.error]
    if failed_jobs:
        rows = [[job.job, wording.image_name(job.image), job.size, job.error] for job in failed_jobs[:_SHOWN]]
        blocks.append(table(["job", "image", "nodes", "error"], rows, caption="Jobs that ended early", text_columns=4))
    return Section("failures", "Failures", tuple(blocks))


def _spec(facts: Facts, failed: list[PullRecord]) -> dict[str, object]:
    counts: Counter[tuple[str, str]] = Counter()
    for record in failed:
        counts[classify(record.error), facts.series.label(record.cluster)] += record.count
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


def _texts_table(failed: list[PullRecord]) -> Markup:
    texts: dict[tuple[str, str], list[PullRecord]] = defaultdict(list)
    for record in failed:
        texts[classify(record.error), record.error or "no text"].append(record)
    ranked = sorted(texts.items(), key=lambda item: -sum(record.count for record in item[1]))
    rows = [
        [kind, text, sum(record.count for record in found), len({record.node for record in found})]
        for (kind, text), found in ranked[:_SHOWN]
    ]
    caption = "Error messages" if len(ranked) <= _SHOWN else f"Error messages: {_SHOWN} of {len(ranked)}"
    return table(["class", "text", "attempts", "nodes"], rows, caption=caption, text_columns=2)
