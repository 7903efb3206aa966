"""The phases of every pod, the critical path of every job, and the odd times among them, as tables."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, cache_order
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import cache_words
from pullstudy.analysis.statistics.quantiles import quantile, upper_quantile
from pullstudy.analysis.timelines.critical_path import critical_container, critical_path
from pullstudy.analysis.timelines.phases import BRIDGES, PHASES, Phase, count_flags, phase_rows
from pullstudy.analysis.timelines.timeline import ContainerTimeline

_SHOWN: tuple[Phase, ...] = (*PHASES, *BRIDGES)
_QUEUED, _PULLING = "queued at the kubelet", "pulling, by the kubelet"


def phase_tables(facts: Facts) -> list[Markup]:
    """Phases of all pods, not only of the last: a table a cache state."""
    values: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for job in facts.jobs:
        for container in job.containers:
            for name, seconds in _seconds(container):
                values[container.cache][name, facts.series.label(job.cluster)].append(seconds)
    return [_phase_table(cache, values[cache], facts.series.labels) for cache in sorted(values, key=cache_order)]


def _seconds(container: ContainerTimeline) -> Iterator[tuple[str, float]]:
    for phase in _SHOWN:
        seconds = phase.seconds(container.times)
        if seconds is not None:
            yield phase.name, seconds
    pull = container.pull
    if pull is not None and pull.waiting_seconds is not None:
        yield _QUEUED, pull.waiting_seconds
    if pull is not None and pull.pull_seconds is not None:
        yield _PULLING, pull.pull_seconds


def _phase_table(cache: str, values: Mapping[tuple[str, str], list[float]], labels: Sequence[str]) -> Markup:
    present = [label for label in labels if any(key[1] == label for key in values)]
    rows = [
        [wording.phase_name(name), *(_quantiles(values.get((name, label))) for label in present)]
        for name in [*(phase.name for phase in _SHOWN), _QUEUED, _PULLING]
        if any((name, label) in values for label in present)
    ]
    header = ["phase", *(f"{label} nodes" for label in present)]
    marks = "median / p95 / longest (how many; p95 of 20 or more)"
    caption = f"Every pod's phases, all images together, {cache_words(cache)}: {marks}"
    return table(header, rows, caption=caption)


def _quantiles(values: list[float] | None) -> str:
    if not values:
        return wording.UNKNOWN
    ordered = sorted(values)
    marks = (quantile(ordered, 0.5), upper_quantile(ordered, 0.95), ordered[-1])
    return f"{' / '.join(map(wording.seconds, marks))} ({len(ordered):,})"


def critical_table(facts: Facts) -> Markup:
    """A row a job."""
    rows = []
    for job in facts.jobs:
        path, critical = critical_path(job), critical_container(job)
        if not path or critical is None:
            continue
        longest = max(path, key=lambda segment: segment.seconds)
        total = sum(segment.seconds for segment in path)
        rows.append(
            [
                wording.image_name(job.image),
                facts.series.label(job.cluster),
                critical.node or wording.UNKNOWN,
                f"{wording.phase_name(longest.name)}, {wording.percent(longest.seconds / total if total else None)}",
                wording.seconds(total),
                len(job.containers),
            ]
        )
    header = ["image", "nodes", "node of the last pod", "longest phase", "makespan", "pods"]
    return table(header, rows, caption="Critical path of every job", text_columns=4)


def flags_words(facts: Facts) -> Markup:
    """How many phases are negative, and what that means."""
    flags = count_flags(row for row in phase_rows(facts.jobs) if row.level == "pod")  # type: ignore[attr-defined]
    odd = {flag: count for flag, count in flags.items() if flag.startswith(("negative:", "unresolved:"))}
    if not odd:
        return paragraph("No phase of any pod is negative.")
    counted = [
        f"{wording.phase_name(flag.partition(':')[2])} {count} times ({flag.partition(':')[0]})"
        for flag, count in odd.items()
    ]
    return paragraph(
        f"Negative phases stay as they are: {wording.listed(counted)}. Within the times' resolution they are "
        "unresolved; beyond it two clocks disagree."
    )
