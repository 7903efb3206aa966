"""Write rates that are known, and what the product says of them."""

import random
from collections.abc import Iterator, Sequence
from itertools import product

from bench.known_truth.simulated_jobs import SPREAD, SimulatedJob, SimulatedPod, simulated_study
from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.bound import bound_findings
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.writeback import JobPoint
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.model.parameters import EKS, override

MB = 1e6
LIMITING = (132, 190, 264, 340, 528)  # MB/s; images are unpacked at 358 MB/s
NOT_LIMITING = 2000
SEEDS = range(1, 9)
SIZES = ((4, 8), (4,), (4, 8, 16))
CONCLUSION = "write-rate"


def trials(seeds: Sequence[int] = SEEDS) -> Iterator[Trial]:
    """By rate, sizes and seed, the sizes in turn; each seed is other pulls and other clusters."""
    for rate, seed in product((*LIMITING, NOT_LIMITING), seeds):
        sizes = SIZES[seed % len(SIZES)]
        yield trial(rate, sizes, 1000 * rate + seed)


def trial(rate: int, sizes: Sequence[int], seed: int, *, ends_known: bool | None = None) -> Trial:
    """``ends_known``: whether the pods' status is at hand, as in a sweep, and not only events; None: either."""
    parameters = override(EKS, {"volume": {"write_bytes_per_second": rate * MB}, "spread": SPREAD})
    settings = [ClusterSettings(f"sim-{size}", size, seed, parameters=parameters) for size in sizes]
    known = random.Random(seed).random() < 0.5 if ends_known is None else ends_known
    points = [point_of(job, ends_known=known) for job in simulated_study(settings)]
    found = next(each for each in bound_findings(points) if each.id is FindingId.WRITE_RATE and each.subject == "all")
    return Trial(CONCLUSION, f"{rate} MB/s", _said(found), _right(found, rate * MB))


def _said(found: Finding) -> str:
    return "a rate" if found.verdict is Verdict.YES else "nothing"


def _right(found: Finding, rate: float) -> bool | None:
    if rate == NOT_LIMITING * MB:
        return found.verdict is not Verdict.YES
    if found.verdict is not Verdict.YES or found.interval is None:
        return None
    low, high = found.interval
    return low is not None and high is not None and low <= rate <= high


def point_of(job: SimulatedJob, *, ends_known: bool) -> JobPoint:
    """As the report has it."""
    shape = study_shape(parse_image(job.image).tag)
    assert shape is not None
    last: Sequence[SimulatedPod] = job.pods
    if ends_known:
        last = [max(job.pods, key=lambda pod: (pod.finished, pod.started))]
    return JobPoint(
        job.cluster,
        "cold",
        job.size,
        *shape,
        makespan_seconds=job.makespan_seconds,
        pulling_seconds=max(pod.pulling for pod in last) - job.created,
        started_seconds=max(pod.started for pod in last) - job.created,
        pull_seconds=sorted(pod.pull_seconds for pod in job.pods)[len(job.pods) // 2],
        compressed_bytes=max(1, shape[1] // 1000),
    )
