"""Growth with the cluster that is known, and what the product says of it."""

import math
import random
from collections.abc import Iterator, Sequence

from bench.known_truth.simulated_jobs import SPREAD, image_of, simulated_study
from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.growth_finding import RELEVANT
from pullstudy.analysis.findings.growth_test import JobSeconds, growth_findings
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.model.parameters import EKS, override

DESIGNS: dict[str, tuple[int, ...]] = {
    "4, 8": (4, 8),
    "4, 8, 16": (4, 8, 16),
    "4 to 64": (4, 8, 16, 32, 64),
    "4 to 256": (4, 8, 16, 32, 64, 128, 256),
}
RATIOS = (1.0, 1.1, 1.25)  # times a doubling
IMAGES, REPEATS, TRIALS = 6, 2, 300
JOB_SIGMA = 0.02  # between jobs of one image on one cluster, beside its pulls
SIMULATED_SIZES = (4, 8, 16, 32)
SIMULATED_TRIALS = 20


def trials() -> Iterator[Trial]:
    """Pulls drawn by the spreads of real ones, TRIALS of each truth; and simulated ones, which do not grow."""
    for name, sizes in DESIGNS.items():
        for ratio in RATIOS:
            yield from (drawn_trial(name, sizes, ratio, seed) for seed in range(TRIALS))
    yield from (simulated_trial(seed) for seed in range(SIMULATED_TRIALS))


def drawn_trial(design: str, sizes: Sequence[int], ratio: float, seed: int) -> Trial:
    values = _drawn(sizes, ratio, random.Random(f"{design} {ratio} {seed}"))
    return _trial(f"{ratio:g} times, {design} nodes", ratio, values)


def _drawn(sizes: Sequence[int], ratio: float, source: random.Random) -> list[JobSeconds]:
    """Medians of jobs: a cluster has its day, a job its own, a pull its own."""
    found = []
    for size in sizes:
        day = source.gauss(0, SPREAD["cluster_sigma"])
        for image in range(IMAGES):
            for _ in range(REPEATS):
                own = day + source.gauss(0, JOB_SIGMA)
                pulls = [math.exp(own + source.gauss(0, SPREAD["pull_sigma"])) for _ in range(size)]
                seconds = 10.0 * (image + 1) * ratio ** math.log2(size) * median(pulls)
                found.append(JobSeconds(f"c-{size}", size, f"image-{image}", "cold", seconds))
    return found


def simulated_trial(seed: int) -> Trial:
    parameters = override(EKS, {"spread": SPREAD})
    settings = [ClusterSettings(f"sim-{size}", size, seed, parameters=parameters) for size in SIMULATED_SIZES]
    jobs = simulated_study(settings, [image_of(9, 1_176_249_324), image_of(125, 2_770_722_493)])
    values = [
        JobSeconds(job.cluster, job.size, job.image, "cold", median([pod.pull_seconds for pod in job.pods]))
        for job in jobs
    ]
    return _trial("1 times, simulated, 4 to 32 nodes", 1.0, values)


def _trial(truth: str, ratio: float, values: Sequence[JobSeconds]) -> Trial:
    """Any image's false "yes" makes a trial wrong; else it is as all images together are."""
    found = growth_findings(FindingId.PULL_GROWTH, values)
    whole = found[0]
    false = ratio == 1 and any(each.verdict is Verdict.YES for each in found)
    return Trial("pull-growth", truth, "yes" if false else str(whole.verdict), False if false else _right(whole, ratio))


def _right(found: Finding, ratio: float) -> bool | None:
    if found.verdict is Verdict.UNKNOWN:
        return None
    return (found.verdict is Verdict.YES) == (ratio >= RELEVANT)
