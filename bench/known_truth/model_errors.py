"""Clusters that are as a model foretold, or so many times as slow, and whether the model is said to be off.

Foretold are bounds of pulls that differ by 8% on clusters that differ by 5%; clusters and pulls do.
"""

import math
import random
from collections.abc import Iterator, Sequence
from statistics import NormalDist

from bench.known_truth.simulated_jobs import SPREAD
from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.finding import Finding, Verdict
from pullstudy.analysis.findings.model_error import ForetoldJob, model_errors
from pullstudy.store.embedded.ledger import ForetoldPulls

DESIGNS: dict[str, tuple[int, ...]] = {
    "4, 8": (4, 8),
    "4, 8, 16": (4, 8, 16),
    "4 to 64": (4, 8, 16, 32, 64),
    "4 to 256": (4, 8, 16, 32, 64, 128, 256),
}
TIMES = (1.0, 1.05, 1.25)  # as long as foretold
IMAGES, TRIALS = 6, 300
USUAL_SECONDS = 10.0
_REACH = NormalDist().inv_cdf(0.95) * math.hypot(*SPREAD.values())


def trials() -> Iterator[Trial]:
    for design, sizes in DESIGNS.items():
        for times in TIMES:
            yield from (study_trial(design, sizes, times, seed) for seed in range(TRIALS))


def study_trial(design: str, sizes: Sequence[int], times: float, seed: int) -> Trial:
    """Right is "yes" of a model that is off by a tenth or more, and else "no"; a twentieth may be either."""
    found = whole(times, sizes, seed)
    right: bool | None = None
    if found.verdict is not Verdict.UNKNOWN:
        right = found.verdict is (Verdict.YES if times > 1 else Verdict.NO) or times == 1.05
    return Trial("model-error", f"{times:g} times, {design} nodes", str(found.verdict), right)


def whole(times: float, sizes: Sequence[int], seed: int) -> Finding:
    """The finding of all jobs."""
    source = random.Random(f"{times} {sizes} {seed}")
    return next(each for each in model_errors(list(_jobs(times, sizes, source))) if each.subject == "all")


def _jobs(times: float, sizes: Sequence[int], source: random.Random) -> Iterator[ForetoldJob]:
    for size in sizes:
        day = times * USUAL_SECONDS * source.lognormvariate(0, SPREAD["cluster_sigma"])
        for image in range(IMAGES):
            said = ForetoldPulls(
                cluster=f"c-{size}",
                job=f"{image}",
                model="m",
                median_seconds=USUAL_SECONDS,
                low_seconds=USUAL_SECONDS * math.exp(-_REACH),
                high_seconds=USUAL_SECONDS * math.exp(_REACH),
            )
            pulls = [day * source.lognormvariate(0, SPREAD["pull_sigma"]) for _ in range(size)]
            yield ForetoldJob(said, size, f"image-{image}", pulls)
