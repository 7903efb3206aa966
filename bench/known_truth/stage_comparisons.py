"""Two studies of which one stage of pulls, or none, takes longer in the second, and what ``compare`` says of each.

As in ``comparisons``: each cluster has a level of its own, 5% from others of its kind, each job one of its own, 2%; the
stages of a pull spread by 8% each. What is put in is a part of the whole pull.
"""

import math
import random
from collections.abc import Iterator, Mapping

from bench.known_truth.comparisons import CLUSTER_SIGMA, DESIGNS, JOB_SIGMA, PULL_SIGMA, TRIALS, Design
from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.comparison import Item
from pullstudy.analysis.findings.stage_differences import JobStages, stage_differences
from pullstudy.analysis.statistics.speed_up import Answer
from pullstudy.pulls.stage import Stage

SHARES = {  # of a pull in the first; those that are none stay none
    Stage.RESOLVE: 0.05,
    Stage.FIRST_BYTE: 0.08,
    Stage.TRANSFER: 0.3,
    Stage.APPLY: 0.45,
    Stage.COMMIT: 0.1,
    Stage.WAIT: 0.02,
}
PUT_IN: tuple[Mapping[Stage, float], ...] = (  # times as long
    {},
    {Stage.APPLY: 1.5},
    {Stage.TRANSFER: 2.0},
    {Stage.FIRST_BYTE: 3.0},
)


def trials() -> Iterator[Trial]:
    for design in DESIGNS:
        for longer in PUT_IN:
            for seed in range(TRIALS):
                yield from stage_trials(design, longer, seed)


def stage_trials(design: Design, longer: Mapping[Stage, float], seed: int) -> Iterator[Trial]:
    """One of each stage that something was put in, and one of all others together: what is said of any of them."""
    source = random.Random(f"{design.name} {longer} {seed}")
    found = stage_differences(_drawn(design, {}, source), _drawn(design, longer, source))
    said = {each.stage: each.overall.answer for each in found}
    name = ", ".join(f"{stage} {factor:g} times" for stage, factor in longer.items()) or "nothing put in"
    for stage in longer:
        right = None if said[stage] is Answer.UNKNOWN else said[stage] is Answer.SLOWER
        yield Trial("compare by stages", f"{name}, {design.name}", str(said[stage]), right)
    wrong = [answer for stage, answer in said.items() if stage not in longer and answer in _DIFFERENT]
    others = f"the others, {name}, {design.name}"
    yield Trial("compare by stages", others, "a difference" if wrong else "none", not wrong)


_DIFFERENT = (Answer.FASTER, Answer.SLOWER)


def _drawn(design: Design, longer: Mapping[Stage, float], source: random.Random) -> list[JobStages]:
    found = []
    for size in design.sizes:
        shared = source.gauss(0, CLUSTER_SIGMA)
        for repeat in range(design.repeats):
            level = source.gauss(0, CLUSTER_SIGMA) if design.own else shared
            cluster = f"{size}-{repeat if design.own else 0}"
            for image in range(design.images):
                usual = 10 * 1.5**image * math.exp(level + source.gauss(0, JOB_SIGMA))
                found.append(_job(cluster, size, f"image-{image}", usual, longer, source))
    return found


def _job(
    cluster: str, size: int, image: str, seconds: float, longer: Mapping[Stage, float], source: random.Random
) -> JobStages:
    job = JobStages(cluster, size, Item(0, 0, 0, image, "cold"), pulls=size)
    for stage, share in SHARES.items():
        each = seconds * share * longer.get(stage, 1.0)
        job.sums[stage] = sum(each * math.exp(source.gauss(0, PULL_SIGMA)) for _ in range(size))
    job.wall_seconds = sum(job.sums.values())
    return job
