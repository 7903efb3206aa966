"""What changes would have saved in a study's jobs, by the model that foretells them: the report's advice.

Each job is tried as it was and with the change. How far the model was off for these jobs scales what it promises, and
widens its interval; nothing is advised whose interval includes no gain. What the study itself has measured goes over
what the model says.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from driver.errors import UsageError
from driver.planning.foretelling import Foreteller
from driver.planning.image_sizes import unpacked_bytes
from driver.planning.study import Study, decode_study
from pullstudy.analysis.findings.cost import NodePrice, price_of
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.statistics.confidence import TAIL, errors_to_bound
from pullstudy.analysis.statistics.quantiles import median, quantile
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.changes import (
    CHANGES,
    FEWER_LAYERS,
    UNCHANGED,
    Change,
    Outcome,
    outcomes,
    tried_nodes,
    whole_makespan,
)
from pullstudy.sim.prediction.pull_prediction import egress_bounds
from pullstudy.store.embedded.ledger import IMPORTED, Run

TRIALS = 24  # clusters on which each change is tried
RELEVANT = 0.02  # of all makespans: less is no advice
MOST_OFF = 1.25  # times: the jobs of a model that is off by more wait for other things than it says
LEAST_PAIRS = 3  # measured ones
COLD = "cold"


@dataclass(frozen=True)
class JobGroup:
    """The jobs of one image at one size, whose nodes held nothing of it."""

    image: str
    size: int
    makespans: tuple[float, ...]
    missing: Missing

    @property
    def seconds(self) -> float:
        return sum(self.makespans)

    @property
    def node_hours(self) -> float:
        return self.seconds * self.size / 3600


def advice(facts: Facts) -> Iterator[Finding]:
    """Of the last run that was swept here, the most seconds first."""
    runs = [run for run in facts.study.ledger.runs if run.provider != IMPORTED]
    if runs:
        yield from _of_run(facts, runs[-1])


def _of_run(facts: Facts, run: Run) -> Iterator[Finding]:
    try:
        study = decode_study(run.study)
    except UsageError:  # of another version: its records can be read, its study's keys not
        return
    groups = job_groups(study, (job for job in facts.jobs if job.run == run.run))
    found = [each for each in findings_of(groups, study, run.provider, price_of(run.study)) if each is not None]
    yield from sorted(found, key=lambda each: -float(each.value or 0))


def job_groups(study: Study, jobs: Iterable[JobSummary]) -> list[JobGroup]:
    """Those of which image, size and makespan are known."""
    catalogue, makespans = ImageCatalogue(study.images.sizes), defaultdict[tuple[str, int], list[float]](list)
    for job in jobs:
        known = job.image and job.size and job.makespan_seconds and not job.failed and job.cache == COLD
        if known and unpacked_bytes(study.images, job.image or "") is not None:
            makespans[job.image or "", job.size or 0].append(job.makespan_seconds or 0.0)
    return [
        JobGroup(image, size, tuple(seconds), Missing.of(catalogue.describe(image), frozenset()))
        for (image, size), seconds in makespans.items()
    ]


def findings_of(
    groups: Sequence[JobGroup], study: Study, provider: str, price: NodePrice | None
) -> Iterator[Finding | None]:
    """One a change; None where it would save nothing for sure."""
    if not groups:
        return
    trials = _Trials(Foreteller(study, provider))
    off = _off(groups, trials.draws)
    if median([abs(math.log(each)) for each in off]) > math.log(MOST_OFF):
        yield _unknown(groups, trials, median(off))
        return
    for change in CHANGES:
        measured = _measured(groups) if change.name == "fewer-layers" else None
        yield (
            measured_finding(change, groups, measured, price)
            if measured
            else _promised(change, groups, trials, median(off), price)
        )


class _Trials:
    """Of jobs, as they were and with a change. At sizes at which the registry bounds nothing an image is tried once."""

    def __init__(self, foreteller: Foreteller) -> None:
        self.model = foreteller.model
        self.draws = foreteller.draws
        self._known: dict[tuple[str, str, int], list[Outcome]] = {}

    def of(self, group: JobGroup, change: Change) -> list[Outcome]:
        shared = egress_bounds(self.draws[0], group.missing, group.size)
        nodes = group.size if shared else tried_nodes(group.size)
        key = (change.name, group.image, nodes)
        if key not in self._known:
            self._known[key] = list(outcomes(change, self.draws, group.missing, nodes, TRIALS))
        return self._known[key]


def _promised(
    change: Change, groups: Sequence[JobGroup], trials: _Trials, off: float, price: NodePrice | None
) -> Finding | None:
    before, after = ([trials.of(group, each) for group in groups] for each in (UNCHANGED, change))
    gains = [_gains(group, *each) for group, *each in zip(groups, before, after, strict=True)]
    totals = sorted(map(sum, zip(*gains, strict=True)))
    interval = (quantile(totals, TAIL) * min(1.0, off), quantile(totals, 1 - TAIL) * max(1.0, off))
    hours = sum(group.size * fmean(gain) for group, gain in zip(groups, gains, strict=True)) / 3600
    pulls = 1 - sum(map(_pull, after)) / sum(map(_pull, before))
    by_model = f"by model {trials.model}, which was off by {off - 1:+.1%} for these makespans"
    said = f"pulls {pulls:.0%} shorter; {by_model}"
    return _finding(change, groups, fmean(totals) * off, interval, hours * off, price, said)


def _off(groups: Sequence[JobGroup], draws: Sequence[ModelParameters]) -> list[float]:
    """How many times as long as by the model each group's makespans are."""
    return [median(group.makespans) / whole_makespan(draws[0], group.missing, group.size) for group in groups]


def _unknown(groups: Sequence[JobGroup], trials: _Trials, off: float) -> Finding:
    return Finding(
        id=FindingId.ADVICE,
        subject="all",
        value=None,
        unit="s",
        n=sum(len(group.makespans) for group in groups),
        counts="jobs",
        verdict=Verdict.UNKNOWN,
        evidence=(
            f"nothing is advised: the model {trials.model} is not true of these jobs, whose makespans are off by "
            f"{off - 1:+.0%}"
        ),
    )


def _gains(group: JobGroup, before: Sequence[Outcome], after: Sequence[Outcome]) -> list[float]:
    """Of all the group's jobs, on each cluster."""
    jobs = len(group.makespans)
    return [jobs * (first.makespan - then.makespan) for first, then in zip(before, after, strict=True)]


def _pull(tried: Sequence[Outcome]) -> float:
    return fmean(each.pull for each in tried)


@dataclass(frozen=True)
class Pair:
    """Jobs of as many bytes at one size, in many layers and in few."""

    many: JobGroup
    few: JobGroup

    @property
    def share(self) -> float:
        """Of the makespan, that few layers save."""
        return 1 - fmean(self.few.makespans) / fmean(self.many.makespans)


def _measured(groups: Sequence[JobGroup]) -> list[Pair] | None:
    """Where there are enough of them."""
    few = {(each.size, each.missing.unpacked_bytes // 10**7): each for each in groups if _is_few(each)}
    found = []
    for each in groups:
        other = few.get((each.size, each.missing.unpacked_bytes // 10**7))
        if other is not None and not _is_few(each):
            found.append(Pair(each, other))
    return found if len(found) >= LEAST_PAIRS else None


def _is_few(group: JobGroup) -> bool:
    return len(group.missing.layers) <= FEWER_LAYERS


def measured_finding(
    change: Change, groups: Sequence[JobGroup], pairs: Sequence[Pair], price: NodePrice | None
) -> Finding | None:
    """Of what the study has measured itself, between images of as many bytes."""
    shares = [pair.share for pair in pairs]
    reach = errors_to_bound(len(shares) - 1) * stdev(shares) / math.sqrt(len(shares))
    seconds, hours = sum(pair.many.seconds for pair in pairs), sum(pair.many.node_hours for pair in pairs)
    share = fmean(shares)
    interval = (seconds * (share - reach), seconds * (share + reach))
    said = f"measured: {len(pairs)} pairs of images of as many bytes, in {FEWER_LAYERS} layers and in more"
    return _finding(change, groups, seconds * share, interval, hours * share, price, said)


def _finding(
    change: Change,
    groups: Sequence[JobGroup],
    seconds: float,
    interval: tuple[float, float],
    node_hours: float,
    price: NodePrice | None,
    said: str,
) -> Finding | None:
    whole = sum(group.seconds for group in groups)
    if interval[0] <= 0 or seconds < RELEVANT * whole:
        return None
    money = node_hours * price.per_node_hour if price else None
    paid = f", {money:.2f} {price.currency}" if price and money is not None else ""
    return Finding(
        id=FindingId.ADVICE,
        subject=change.name,
        value=seconds,
        interval=interval,
        unit="s",
        n=sum(len(group.makespans) for group in groups),
        counts="jobs",
        verdict=Verdict.YES,
        evidence=(
            f"{change.what}: {seconds:,.0f} of {whole:,.0f} s of makespans ({seconds / whole:.0%}), "
            f"{node_hours:.3g} node-hours{paid}; {said}"
        ),
        assumptions=(
            "each change alone: two together may save less than their sum",
            *(("what is pulled before is pulled all the same",) if change.name == "pre-pull" else ()),
        ),
        node_hours=node_hours,
        money=money,
        currency=price.currency if price else None,
    )
