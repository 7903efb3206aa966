"""The answers first: headline numbers, and what the rest of the page shows, in words."""

from pullstudy.analysis.findings.schedule import cluster_schedules
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import COLD, Facts, ImageKey, PullGroup, cache_order
from pullstudy.analysis.report.html import Markup, element, warning
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections import after_pull, all_pulls, costs, makespans, participation, wall_time
from pullstudy.analysis.statistics.quantiles import quantile


def build(facts: Facts) -> Section:
    blocks: list[Block] = [*_cautions(facts), _headlines(facts), element("ul", *_answers(facts))]
    return Section("summary", "Summary", tuple(blocks))


def _cautions(facts: Facts) -> list[Block]:
    found: list[Block] = []
    if facts.study.simulated:
        found.append(warning("simulated clusters: every figure here comes from a model, none from real nodes."))
    sizes = participation.size_warning(facts)
    if sizes:
        found.append(warning(sizes))
    missing = sum(audit.expected - audit.accounted for audit in facts.study.ledger.audits)
    if missing:
        found.append(warning(f"{wording.plural(missing, 'pull')} that should have been made are not accounted for."))
    unfinished = [job for job in facts.study.ledger.jobs if job.state in ("planned", "created", "complete")]
    if unfinished:
        found.append(warning(f"{wording.plural(len(unfinished), 'job')} of the study are not done: the study goes on."))
    return found


def _headlines(facts: Facts) -> Markup:
    wall = sum(each.wall_seconds for each in cluster_schedules(facts.jobs))
    tiles = [
        (f"{facts.counts.pulled:,}", "pulls"),
        (f"{len(facts.counts.images):,}", "images"),
        (_sizes(facts), "nodes"),
        (f"{facts.failed.attempts_of_jobs if facts.jobs else facts.failed.attempts:,}", "failed attempts"),
    ]
    if facts.jobs:
        words = "wall time from first to last job, all clusters"
        tiles.append((wording.seconds(wall) if wall else wording.UNKNOWN, words))
    cost = costs.total_cost(facts)
    if cost is not None:
        tiles.append((cost, "at the study's price"))
    items = [element("div", element("b", value), element("span", name)) for value, name in tiles]
    return element("div", *items, class_="tiles")


def _sizes(facts: Facts) -> str:
    sizes = sorted(facts.counts.sizes)
    if not sizes:
        return wording.UNKNOWN
    return ", ".join(map(str, sizes)) if len(sizes) <= 4 else f"{sizes[0]}–{sizes[-1]}"


def _answers(facts: Facts) -> list[Markup]:
    items = [
        element("li", element("b", title if title.endswith("?") else f"{title}:"), " ", words)
        for title, words in _findings(facts)
    ]
    if items:
        return items
    return [element("li", "No pull of a job is in this study: see all pulls for those of other pods.")]


def _findings(facts: Facts) -> list[tuple[str, str]]:
    found = []
    if not facts.jobs and facts.pulls.all.seconds:
        found.append(("How long do pulls take?", all_pulls.answer(facts)))
    durations = _durations(facts)
    if durations:
        found.append(("Do pulls get slower on larger clusters?", durations))
    found += [(_mystery_title(facts, item.run, item.cache), makespans.answer(item)) for item in facts.decompositions]
    own = wall_time.own_time(facts)
    if own:
        found.append(("What the study itself adds", own))
    found += _after_pull(facts)
    spreads = facts.stragglers.spreads
    if spreads:
        late = sum(len(spread.stragglers) for spread in spreads)
        cost = sum(spread.cost_seconds for spread in spreads)
        longer = f"the slowest pods took {wording.seconds(cost)} longer than the median ones, in all"
        words = f"{wording.plural(late, 'straggler')}; {longer}. {facts.stragglers.findings()[0].evidence}"
        found.append(("Stragglers", words))
    return found


def _mystery_title(facts: Facts, run: str | None, cache: str) -> str:
    title = "Where does a longer job's time go?"
    several = len(facts.decompositions) > 1
    return f"{title} ({run}, {cache_words(cache)})" if several else title


def _after_pull(facts: Facts) -> list[tuple[str, str]]:
    return [(f"What bounds the makespan ({subject})?", words) for subject, words in after_pull.answers(facts)]


def _durations(facts: Facts) -> str | None:
    """The largest image's median pull at the smallest and the largest size, coldest caches first."""
    for group in sorted(facts.groups, key=lambda group: (cache_order(group.cache), -_largest(group))):
        labels = [label for label in facts.series.labels if any(series == label for _, series in group.pulls)]
        key = group.images[-1]
        ends = [label for label in labels if (key, label) in group.pulls]
        if len(ends) >= 2:
            small, large = (_median(group, key, label) for label in (ends[0], ends[-1]))
            counts = [len(group.pulls[key, label].seconds) for label in (ends[0], ends[-1])]
            cache = "" if group.cache == COLD else f" ({cache_words(group.cache)})"
            return (
                f"the median pull of {wording.image_name(key.image)} took {wording.seconds(small)} on {ends[0]} nodes "
                f"and {wording.seconds(large)} on {ends[-1]}{cache}, {_ratio(large / small if small else None)} "
                f"(medians of {counts[0]:,} and {counts[1]:,} pulls{_ratios(group, ends[0], ends[-1])})."
            )
    return None


def _ratios(group: PullGroup, small: str, large: str) -> str:
    """The least and the greatest ratio of these two medians, where several images have both."""
    both = [key for key in group.images if {(key, small), (key, large)} <= group.pulls.keys()]
    medians = [(_median(group, key, small), _median(group, key, large)) for key in both]
    ratios = [after / before for before, after in medians if before > 0]
    if len(ratios) < 2:
        return ""
    layers = f" of {wording.plural(group.layers, 'layer')}" if group.layers else ""
    return f"; {min(ratios):.3f} to {max(ratios):.3f} times over the {len(ratios)} images{layers}"


def _largest(group: PullGroup) -> int:
    return max((key.unpacked_bytes or 0 for key in group.images), default=0)


def _median(group: PullGroup, key: ImageKey, label: str) -> float:
    return quantile(sorted(group.pulls[key, label].seconds), 0.5)


def _ratio(ratio: float | None) -> str:
    return "a ratio that is unknown" if ratio is None else f"{ratio:.3f} times as long"
