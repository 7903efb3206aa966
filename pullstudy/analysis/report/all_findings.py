"""All findings of a study: what the page concludes and what ``report --json`` prints are these."""

from collections.abc import Callable, Iterable, Iterator

from pullstudy.analysis.findings.cost import cluster_costs
from pullstudy.analysis.findings.cost_findings import cost_findings
from pullstudy.analysis.findings.finding import Finding
from pullstudy.analysis.findings.growth_findings import makespan_growth, phase_findings
from pullstudy.analysis.findings.growth_test import makespan_growth_of_parts, pull_growth
from pullstudy.analysis.findings.loss import losses
from pullstudy.analysis.findings.pull_seconds import Downloads, pull_seconds
from pullstudy.analysis.report.facts import Facts


def downloads_of(facts: Facts) -> tuple[list[Downloads], str]:
    """All downloads with what a unit is: a job, or each of its images; without jobs an image's pulls on a cluster."""
    of_jobs = [
        Downloads(job.cluster, job.size, pulls.image, pulls.cache, pulls.downloads, pulls.streaming)
        for job in facts.jobs
        for pulls in job.pulls
        if pulls.downloads
    ]
    if of_jobs:
        alone = all(len(job.pulls) <= 1 for job in facts.jobs)
        return of_jobs, "jobs" if alone else "images of jobs"
    sizes = facts.study.sizes
    others = [
        Downloads(cluster, sizes.get(cluster), key.image, group.cache, found.seconds)
        for group in facts.groups
        for (key, cluster), found in group.pulls.items()
        if found.seconds
    ]
    return others, "images on clusters"


def _pull_seconds(facts: Facts) -> Iterator[Finding]:
    yield from pull_seconds(*downloads_of(facts))


def _growth(facts: Facts) -> Iterator[Finding]:
    yield from pull_growth(facts.jobs)
    yield from makespan_growth(facts.decompositions)
    yield from makespan_growth_of_parts(facts.jobs)
    yield from phase_findings(facts.decompositions)


def _stages(facts: Facts) -> Iterator[Finding]:
    yield from facts.stages.findings()


def _stragglers(facts: Facts) -> Iterator[Finding]:
    yield from facts.stragglers.findings()


def _losses(facts: Facts) -> Iterator[Finding]:
    yield from losses(facts.study.ledger.audits, facts.unaudited, sum(facts.discards.values()))


def _costs(facts: Facts) -> Iterator[Finding]:
    yield from cost_findings(cluster_costs(facts.study, facts.jobs))


def _model_errors(facts: Facts) -> Iterator[Finding]:
    yield from facts.model_errors


def _advice(facts: Facts) -> Iterator[Finding]:
    yield from facts.advice


def _bounds(facts: Facts) -> Iterator[Finding]:
    yield from facts.bounds


# In the order in which they are printed.
MAKERS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _pull_seconds,
    _growth,
    _bounds,
    _stages,
    _stragglers,
    _losses,
    _costs,
    _model_errors,
    _advice,
)


def findings_of(facts: Facts) -> list[Finding]:
    """What every maker concludes."""
    return [finding for make in MAKERS for finding in make(facts)]
