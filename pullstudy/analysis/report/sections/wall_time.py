"""The wall time of the study: in its jobs, and what it adds itself between them."""

from pullstudy.analysis.findings.schedule import PAUSE_SECONDS, ClusterSchedule, cluster_schedules
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.store.embedded.ledger import IMPORTED


def own_time(facts: Facts) -> str | None:
    """What the study itself adds to its wall time, which no workload feels; None where nothing is known of it."""
    schedules = cluster_schedules(facts.jobs)
    known = [each for each in schedules if each.jobs > 1 and each.wall_seconds > 0 and not each.unknown_seconds]
    if not known:
        return None
    ends = [known[0], known[-1]] if len(known) > 1 else known
    parts = [f"{_own_words(each)} in {wording.cluster_of(facts.series.label(each.cluster))}" for each in ends]
    deleting = ", deleting them included," if _made_by_sweep(facts) else ""
    return f"between its jobs{deleting} passed {wording.listed(parts)}: no workload feels that."


def _made_by_sweep(facts: Facts) -> bool:
    """Of imported logs nothing says what went on between their jobs."""
    return any(provider != IMPORTED for provider in facts.providers)


def _own_words(each: ClusterSchedule) -> str:
    share = wording.percent(each.own_seconds / each.wall_seconds)
    deleting = f", {wording.seconds(each.deleting_seconds)} of it deleting them" if each.deleting_seconds else ""
    return f"{wording.seconds(each.own_seconds)} of {wording.seconds(each.wall_seconds)} ({share}{deleting})"


def schedule_blocks(facts: Facts) -> list[Markup]:
    """The wall time of each cluster: in jobs, and what is between them."""
    schedules = cluster_schedules(facts.jobs)
    if not schedules:
        return []
    columns = _columns(facts, schedules)
    shown = {name: cells for name, cells in columns.items() if any(cell not in ("", "0 s") for cell in cells)}
    rows = list(zip(*shown.values(), strict=True))
    caption = "Wall time of each cluster, from its first job to its last, and what the study itself adds"
    return [
        paragraph(_schedule_words(schedules, made_by_sweep=_made_by_sweep(facts))),
        table(list(shown), rows, caption=caption),
    ]


def _columns(facts: Facts, schedules: list[ClusterSchedule]) -> dict[str, list[str]]:
    return {
        "nodes in the cluster": [facts.series.label(each.cluster) for each in schedules],
        "jobs": [f"{each.jobs:,}" for each in schedules],
        "wall time": [wording.seconds(each.wall_seconds) for each in schedules],
        "jobs under way": [wording.seconds(each.in_jobs_seconds) for each in schedules],
        "several at once": [wording.seconds(each.overlap_seconds) for each in schedules],
        "deleting jobs": [wording.seconds(each.deleting_seconds) for each in schedules],
        "else between jobs": [wording.seconds(each.between_seconds) for each in schedules],
        "pauses": [
            f"{len(each.pauses)} of {wording.seconds(sum(each.pauses))}" if each.pauses else "" for each in schedules
        ],
        "not on record": [wording.seconds(each.unknown_seconds) for each in schedules],
    }


def _schedule_words(schedules: list[ClusterSchedule], *, made_by_sweep: bool) -> str:
    words = ["The time between jobs is in no makespan."]
    if made_by_sweep:
        words = [
            "Between its jobs a study deletes them, waits for their pods to go and clears caches: that is the study's "
            "own time, in no makespan."
        ]
    if any(each.overlap_seconds for each in schedules):
        words.append(
            "Some jobs overlap: while several are under way, their makespans add up to more than the wall time, by "
            "what is said under several at once."
        )
    if any(each.pauses for each in schedules):
        words.append(f"A pause is a stretch of over {wording.seconds(PAUSE_SECONDS)} between two jobs.")
    if any(each.unknown_seconds for each in schedules):
        words.append("After a job whose end is not on record, the time until the next one is counted as not on record.")
    return " ".join(words)
