"""How far a model was off that foretold each job's pulls before it was run, and how many pulls came within its bounds.

All jobs of a cluster share its day, so that a cluster is one value: the median of its jobs' errors. Whether a model is
off is told from three clusters on, by Student's t of their logarithms.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from pullstudy.analysis.findings.finding import Finding, FindingId, Interval, Verdict
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.statistics.student import student_quantile
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.store.embedded.ledger import ForetoldPulls

K = TypeVar("K")

LEAST_CLUSTERS = 3
RELEVANT = 1.1  # times: a model that is off by less is right enough to be used
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class ForetoldJob:
    """One job whose pulls were foretold, and are over."""

    foretold: ForetoldPulls
    size: int
    image: str
    seconds: Sequence[float]  # of its pulls, one at least

    @property
    def times(self) -> float:
        """How many times as long as foretold the median pull took."""
        return median(self.seconds) / self.foretold.median_seconds

    @property
    def within(self) -> int:
        """How many pulls were within the bounds."""
        return sum(self.foretold.low_seconds <= each <= self.foretold.high_seconds for each in self.seconds)


def foretold_jobs(jobs: Iterable[JobSummary], foretold: Iterable[ForetoldPulls]) -> list[ForetoldJob]:
    """Those that were foretold and whose pulls are on record; pulls that were streamed end before all bytes came."""
    by_job = {(each.cluster, each.job): each for each in foretold}
    found = []
    for job in jobs:
        said = by_job.get((job.cluster, job.job))
        seconds = [each for pulls in job.pulls if not pulls.streamed for each in pulls.downloads]
        if said and seconds and job.image and job.size:
            found.append(ForetoldJob(said, job.size, job.image, seconds))
    return found


def model_errors(jobs: Sequence[ForetoldJob]) -> Iterator[Finding]:
    """Of each model: of all its jobs, by size, and by image."""
    models: dict[str, list[ForetoldJob]] = defaultdict(list)
    for job in jobs:
        models[job.foretold.model].append(job)
    for model, of_model in models.items():
        yield _finding(model, "all", of_model)
        for size, of_size in _groups(of_model, lambda job: job.size).items():
            yield _finding(model, f"{size} nodes", of_size, size=size)
        for image, of_image in _groups(of_model, lambda job: job.image).items():
            yield _finding(model, image, of_image, image=image)


def _groups(jobs: Iterable[ForetoldJob], key: Callable[[ForetoldJob], K]) -> dict[K, list[ForetoldJob]]:
    found: dict[K, list[ForetoldJob]] = defaultdict(list)
    for job in jobs:
        found[key(job)].append(job)
    return found


def _finding(
    model: str, subject: str, jobs: Sequence[ForetoldJob], size: int | None = None, image: str | None = None
) -> Finding:
    times, interval = median([job.times for job in jobs]), _interval(jobs)
    pulls = sum(len(job.seconds) for job in jobs)
    coverage = sum(job.within for job in jobs) / pulls
    return Finding(
        id=FindingId.MODEL_ERROR,
        subject=subject,
        value=times,
        interval=interval,
        unit="times as long as foretold",
        n=len(jobs),
        counts="jobs",
        verdict=_verdict(interval),
        evidence=say_error(model, times, len(jobs), coverage),
        assumptions=("clusters differ as days do: all jobs of one are one value",),
        coverage=coverage,
        size=size,
        image=image,
    )


def say_error(model: str, times: float, jobs: int, coverage: float) -> str:
    """``model eks: median pull off by +2.1% (median of 192 jobs), 91% of pulls within the 90% interval``."""
    counted = "1 job" if jobs == 1 else f"median of {jobs:,} jobs"
    within = f"{coverage:.0%} of pulls within the 90% interval"
    off = round(times - 1, 3) or 0.0  # never -0.0%
    return f"model {model}: median pull off by {off:+.1%} ({counted}), {within}"


def _interval(jobs: Sequence[ForetoldJob]) -> Interval | None:
    clusters = _groups(jobs, lambda job: job.foretold.cluster)
    values = [math.log(median([job.times for job in of_cluster])) for of_cluster in clusters.values()]
    if len(values) < LEAST_CLUSTERS:
        return None
    reach = student_quantile((1 + _CONFIDENCE) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return math.exp(fmean(values) - reach), math.exp(fmean(values) + reach)


def _verdict(interval: Interval | None) -> Verdict:
    """Whether the model is off, beyond chance; no where it is surely off by less than RELEVANT."""
    low, high = interval or (None, None)
    if low is None or high is None:
        return Verdict.UNKNOWN
    if low > 1 / RELEVANT and high < RELEVANT:
        return Verdict.NO
    return Verdict.YES if low > 1 or high < 1 else Verdict.UNKNOWN
