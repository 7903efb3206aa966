"""The phases of every pod, the critical path of every job, and the odd times among them, as tables."""

from collections.abc import Mapping, Sequence

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, cache_order
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import cache_words
from pullstudy.analysis.statistics.quantiles import quantile, upper_quantile
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.analysis.timelines.phase_seconds import MEASURED

_SHOWN = 50
Values = Sequence[float]
_COLUMNS = (
    "Nodes are the cluster's, on nodes those that took part; waited: pulls that ended with another pod's download"
)


def phase_tables(facts: Facts) -> list[Markup]:
    """Phases of all pods, not only of the last: a table a cache state."""
    return [
        _phase_table(cache, _labelled(facts, values), facts.series.labels)
        for cache, values in sorted(facts.phases.by_cache.items(), key=lambda item: cache_order(item[0]))
    ]


def _labelled(facts: Facts, values: Mapping[tuple[str, str], Values]) -> dict[tuple[str, str], Values]:
    return {(name, facts.series.label(cluster)): seconds for (name, cluster), seconds in values.items()}


def _phase_table(cache: str, values: Mapping[tuple[str, str], Values], labels: Sequence[str]) -> Markup:
    present = [label for label in labels if any(key[1] == label for key in values)]
    rows = [
        [wording.phase_name(name), *(_quantiles(values.get((name, label))) for label in present)]
        for name in MEASURED
        if any((name, label) in values for label in present)
    ]
    header = ["phase", *(f"{label} nodes" for label in present)]
    marks = "median / p95 / longest (how many; p95 of 20 or more)"
    caption = f"Every pod's phases, all images together, {cache_words(cache)}: {marks}"
    return table(header, rows, caption=caption)


def _quantiles(values: Values | None) -> str:
    if not values:
        return wording.UNKNOWN
    ordered = sorted(values)
    marks = (quantile(ordered, 0.5), upper_quantile(ordered, 0.95), ordered[-1])
    return f"{' / '.join(map(wording.seconds, marks))} ({len(ordered):,})"


def critical_table(facts: Facts) -> Markup:
    """A row a job."""
    header = [
        "image",
        "nodes",
        "node of the last pod",
        "longest phase",
        "makespan",
        "until",
        "pods",
        "on nodes",
        "downloads",
        "waited",
    ]
    known = [job for job in facts.jobs if job.path]
    longest = sorted(known, key=lambda job: -(job.makespan_seconds or 0.0))[:_SHOWN]
    rows = [_critical_row(facts, job) for job in (known if len(known) <= _SHOWN else longest)]
    caption = "Critical path of every job"
    if len(known) > _SHOWN:
        caption = f"Critical path of the {_SHOWN} longest of {len(known):,} jobs; pulldriver export phases has them all"
    return table(header, rows, caption=f"{caption}. {_COLUMNS}", text_columns=4)


def _critical_row(facts: Facts, job: JobSummary) -> list[object]:
    longest = max(job.path, key=lambda segment: segment.seconds)
    total = sum(segment.seconds for segment in job.path)
    return [
        wording.workload_name(job.workload),
        facts.series.label(job.cluster),
        job.critical_node or wording.UNKNOWN,
        f"{wording.phase_name(longest.name)}, {wording.percent(longest.seconds / total if total else None)}",
        wording.seconds(total),
        wording.phase_name(str(job.end_moment)),
        job.pods,
        len(job.nodes),
        sum(len(pulls.downloads) for pulls in job.pulls),
        job.riders,
    ]


def flags_words(facts: Facts) -> Markup:
    """How many phases are negative, and what that means."""
    if not facts.phases.odd:
        return paragraph("No phase of any pod is negative.")
    counted = [
        f"{wording.phase_name(phase)} {count} times ({flag})" for (flag, phase), count in facts.phases.odd.items()
    ]
    return paragraph(
        f"Negative phases stay as they are: {wording.listed(counted)}. Within the times' resolution they are "
        "unresolved; beyond it two clocks disagree."
    )
