"""The answers first: how long, whether it grows, what bounds it, and what is unsure, all from the findings."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from pullstudy.analysis.findings.finding import Finding, FindingId, Interval, Verdict
from pullstudy.analysis.findings.schedule import cluster_schedules
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.all_findings import findings_of
from pullstudy.analysis.report.facts import Facts, cache_order
from pullstudy.analysis.report.html import Markup, element, table, warning
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections import after_pull, costs, makespans, participation, wall_time
from pullstudy.pulls.streamed import Streamed

_VERDICTS = {Verdict.YES: "yes", Verdict.NO: "no", Verdict.UNKNOWN: "cannot tell"}
_ROWS = 12  # of the table of durations
_STRAGGLERS = 3  # that are told here
_NAMED_IMAGES = 5
_GROWTH = {FindingId.PULL_GROWTH: "Pulls", FindingId.MAKESPAN_GROWTH: "Makespans"}

Answer = tuple[str, Sequence[Markup]]  # to a question


def build(facts: Facts) -> Section:
    found: dict[FindingId, list[Finding]] = defaultdict(list)
    for finding in findings_of(facts):
        found[finding.id].append(finding)
    answers = [*_how_long(found), *_growth(facts, found), *_bounds(facts, found), *_slow(found), *_unsure(facts, found)]
    blocks: list[Block] = [*_simulated(facts), _headlines(facts), _answers(answers)]
    return Section("summary", "Summary", tuple(blocks))


def _answers(answers: Iterable[Answer]) -> Markup:
    return element(
        "div",
        *(element("section", element("h3", question), element("div", *said)) for question, said in answers),
        class_="answers",
    )


def _simulated(facts: Facts) -> list[Markup]:
    if not facts.study.simulated:
        return []
    said = [warning("simulated clusters: every figure here comes from a model, none from real nodes.")]
    guessed = facts.guessed_images
    if guessed:
        named = wording.listed([image.rpartition("/")[2] for image in guessed], at_most=_NAMED_IMAGES)
        said.append(
            warning(
                f"the sizes of {len(guessed)} of {wording.plural(len(facts.counts.images), 'image')} are guessed from "
                f"the letters of their names, and so are their times: {named}."
            )
        )
    return said


def _headlines(facts: Facts) -> Markup:
    wall = sum(each.wall_seconds for each in cluster_schedules(facts.jobs))
    tiles = [
        (f"{facts.counts.pulled:,}", "pulls"),
        (f"{len(facts.counts.images):,}", "images"),
        (_sizes(facts), "nodes in the cluster"),
        (f"{facts.failed.attempts_of_jobs if facts.jobs else facts.failed.attempts:,}", "failed attempts"),
    ]
    if wall:
        tiles.append((wording.seconds(wall), "wall time from first to last job, all clusters"))
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


Found = dict[FindingId, list[Finding]]


def _how_long(found: Found) -> list[Answer]:
    of_all = [each for each in found[FindingId.PULL_SECONDS] if each.image is None]
    sizes = [each for each in of_all if each.size is not None] or of_all[:1]
    if not sizes:
        return [("How long do pulls take?", [element("p", "No pull with a duration is in this study.")])]
    shown = sorted(sizes, key=lambda each: (cache_order(each.cache or ""), each.size or 0))[:_ROWS]
    header = ["nodes in the cluster", shown[0].counts, "p50", "p95", "p99"]
    several = len({each.cache for each in shown}) > 1
    rows = [_duration_row(each, several_states=several) for each in shown]
    told = [place for place in range(len(header)) if any(row[place] != wording.UNKNOWN for row in rows)]
    whole = table(
        [header[place] for place in told],
        [[row[place] for place in told] for row in rows],
        caption=_of_what(found, shown),
    )
    return [("How long do pulls take?", [whole])]


def _of_what(found: Found, shown: Sequence[Finding]) -> str:
    """Of which pulls the durations are, and how much the images among them differ."""
    caches = {each.cache for each in shown}
    of_cache = f", {cache_words(shown[0].cache or '')}" if len(caches) == 1 else ""
    of_images = [each for each in found[FindingId.PULL_SECONDS] if each.image is not None]
    images = {each.image for each in of_images}
    told = [each for each in of_images if each.size is not None] or of_images
    medians = sorted(each.value for each in told if isinstance(each.value, float))
    if len(images) < 2:
        return f"Downloads{of_cache}, with 95% intervals"
    by_size = " at a size" if len(shown) > 1 else ""
    between = f"medians{by_size} are {wording.seconds(medians[0])} to {wording.seconds(medians[-1])}"
    by_image = ". Sizes are compared image by image below" if len(shown) > 1 else ""
    return f"Downloads of {len(images)} images together, whose own {between}{of_cache}; with 95% intervals{by_image}"


def _duration_row(each: Finding, *, several_states: bool) -> list[object]:
    size = wording.UNKNOWN if each.size is None else str(each.size)
    state = f", {cache_words(each.cache)}" if each.cache and several_states else ""
    quantiles = ((each.value, each.interval), (each.p95, each.p95_interval), (each.p99, each.p99_interval))
    return [f"{size}{state}", each.n, *(_value(value, interval) for value, interval in quantiles)]


def _value(value: float | str | None, interval: Interval | None) -> Markup | str:
    if not isinstance(value, float):
        return wording.UNKNOWN
    return element("span", wording.seconds(value), element("small", _between(interval)), class_="value")


def _between(interval: Interval | None) -> str:
    words = wording.seconds_interval(*(interval or (None, None)))
    return "not bounded" if words == wording.UNKNOWN else words


def _growth(facts: Facts, found: Found) -> list[Answer]:
    told = {
        (identity, _sentence(each), _kind(each, found[identity])): each.verdict
        for identity in _GROWTH
        for each in _of_wholes(found[identity])
    }
    often = Counter((identity, sentence) for identity, sentence, _ in told)
    once = {
        (identity, sentence, "" if often[identity, sentence] > 1 else kind): verdict
        for (identity, sentence, kind), verdict in told.items()
    }
    said = [
        element("p", element("b", f"{_GROWTH[identity]}: {_VERDICTS[verdict]}. "), sentence, kind)
        for (identity, sentence, kind), verdict in once.items()
    ]
    said += [element("p", f"{name} of some images grow: {words}.") for name, words in _images_that_grow(found)]
    several = [item for item in facts.decompositions if len(item.sizes) > 1]
    said += [element("p", makespans.answer(item, tested=False)) for item in several]
    own = wall_time.own_time(facts)
    if own:
        said.append(element("p", element("b", "What the study itself adds: "), own))
    return [("Does it grow with the nodes?", said)] if said else []


def _of_wholes(growth: Sequence[Finding]) -> list[Finding]:
    """Of all images; of a layer count where it is another answer."""
    of_all = [each for each in growth if each.subject.partition(",")[0] == "all"]
    verdicts = {(each.run, each.cache): each.verdict for each in of_all}
    others = [each for each in growth if each.image is None and each not in of_all]
    return [*of_all, *(each for each in others if each.verdict is not verdicts.get((each.run, each.cache)))]


def _images_that_grow(found: Found) -> Iterable[tuple[str, str]]:
    for identity, name in _GROWTH.items():
        grown = [each for each in found[identity] if each.image is not None and each.verdict is Verdict.YES]
        if grown:
            words = [f"{wording.image_name(each.image)} ({_times(each)} a doubling)" for each in grown]
            yield name, wording.listed(words, at_most=4)


def _times(each: Finding) -> str:
    return f"{each.value:.2f} times as long" if isinstance(each.value, float) else "longer"


def _sentence(each: Finding) -> str:
    text = each.evidence[:1].upper() + each.evidence[1:]
    return text if text.endswith(".") else f"{text}."


def _kind(each: Finding, others: Sequence[Finding]) -> str:
    """Which it is of several that may not be mixed."""
    parts = []
    if each.subject.partition(",")[0] != "all":
        parts.append(each.subject.partition(",")[0])
    if len({other.cache for other in others}) > 1 and each.cache:
        parts.append(cache_words(each.cache))
    if len({other.run for other in others}) > 1 and each.run:
        parts.append(f"run {each.run}")
    return f" ({', '.join(parts)})" if parts else ""


def _bounds(facts: Facts, found: Found) -> list[Answer]:
    """Of all jobs; of a layer count where it is another answer."""
    bounds = {each.subject: each.value for each in found[FindingId.BOUND]}
    if not bounds:
        return []
    first = next(iter(bounds))
    said = [
        element("p", *([element("b", f"{subject}: ")] if subject != first else []), words)
        for subject, words in after_pull.answers(facts)
        if subject == first or bounds[subject] != bounds[first]
    ]
    return [("What bounds the makespan?", said)]


def _slow(found: Found) -> list[Answer]:
    stragglers = found[FindingId.STRAGGLER]
    if not stragglers:
        return []
    said = [element("p", _sentence(each)) for each in stragglers[:_STRAGGLERS]]
    if len(stragglers) > _STRAGGLERS:
        said.append(element("p", f"{len(stragglers) - _STRAGGLERS} more are told below."))
    return [("What was slow?", said)]


def _unsure(facts: Facts, found: Found) -> list[Answer]:
    said = [*_missing(facts, found), *_of_sizes(facts), *_of_states(facts)]
    return [("What is unsure?", [element("ul", *(element("li", words) for words in said))])] if said else []


def _missing(facts: Facts, found: Found) -> Iterable[str]:
    for each in found[FindingId.LOSS]:
        if each.verdict is not Verdict.NO or facts.discards:
            yield _sentence(each)


def _of_sizes(facts: Facts) -> Iterable[str]:
    sizes = participation.size_warning(facts)
    if sizes:
        yield sizes
    clusters = Counter(size for _, size in {(job.cluster, job.size) for job in facts.jobs if job.size})
    alone = [size for size, count in clusters.items() if count == 1]
    if len(clusters) > 1 and alone:
        which = (
            "every size was" if len(alone) == len(clusters) else f"{wording.listed([str(n) for n in alone])} nodes were"
        )
        yield (
            f"One cluster a size: {which} measured on one cluster only, so that what differs between two sizes can be "
            "a difference of two clusters or of two days."
        )


def _of_states(facts: Facts) -> Iterable[str]:
    unfinished = [job for job in facts.study.ledger.jobs if job.state in ("planned", "created", "complete")]
    if unfinished:
        yield f"{wording.plural(len(unfinished), 'job')} of the study are not done: the study goes on."
    if any(group.cache == "unknown" for group in facts.groups):
        yield (
            "Whether images or layers of them were on the nodes before is not on record, so that a pull may have "
            "downloaded less than its whole image."
        )
    downloads = [(pulls.streaming, len(pulls.downloads)) for job in facts.jobs for pulls in job.pulls]
    streamed = sum(count for how, count in downloads if how is Streamed.STREAMED)
    perhaps = sum(count for how, count in downloads if how is Streamed.UNKNOWN)
    if streamed:
        yield f"{wording.plural(streamed, 'pull')} streamed: the image was mounted before all of its bytes had come."
    if perhaps:
        yield f"{wording.plural(perhaps, 'pull')} may have streamed: their nodes do, and no event tells of these."
    rejects = sum(each.times for each in facts.rejects.values())
    if rejects:
        yield f"{wording.plural(rejects, 'line')} of the input could not be read, and may have told of pulls."
    if facts.gaps:
        gaps = wording.plural(len(facts.gaps), "time")
        yield f"The watch of a cluster lost its place {gaps}: events of that time may be missing."
