"""Two studies whose difference is known, and what ``compare`` and ``report --slo`` say of them.

Pulls spread by 8%; each cluster has a level of its own, 5% from others of its kind, and each job one of its own, 2%.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.comparison import ComparedStudy, Ended, Item, Pulls, Quantity, compared
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.objectives import objective_findings
from pullstudy.analysis.findings.pull_seconds import Downloads, pull_seconds
from pullstudy.analysis.findings.thresholds import parse_threshold
from pullstudy.analysis.statistics.speed_up import Answer
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.streamed import Streamed

PULL_SIGMA, CLUSTER_SIGMA, JOB_SIGMA = 0.08, 0.05, 0.02
BESIDE_SECONDS = 2.0  # of a makespan, beside its slowest pull
TRIALS = 300
QUANTITIES = (Quantity.MAKESPAN, Quantity.PULLS)


@dataclass(frozen=True)
class Design:
    """What a study has. ``own``: each repeat on a cluster of its own, as on another day."""

    name: str
    sizes: tuple[int, ...]
    images: int
    repeats: int
    own: bool = False


DESIGNS = (
    Design("8 nodes x 5, one cluster a side", (8,), 1, 5),
    Design("8 nodes x 5, a cluster each", (8,), 1, 5, own=True),
    Design("8 nodes, 6 images once", (8,), 6, 1),
    Design("4, 8, 16 nodes, 3 images x 3", (4, 8, 16), 3, 3),
    Design("4 to 128 nodes, 3 images x 2", (4, 8, 16, 32, 64, 128), 3, 2),
)
EFFECTS = (1.0, 0.8, 1.2)  # times as long


def trials() -> Iterator[Trial]:
    for design in DESIGNS:
        for effect in EFFECTS:
            for seed in range(TRIALS):
                yield from comparison_trials(design, effect, seed)


def comparison_trials(design: Design, effect: float, seed: int) -> Iterator[Trial]:
    """A trial of each quantity, over all sizes."""
    source = random.Random(f"{design.name} {effect} {seed}")
    found = compared(drawn(design, 1.0, source), drawn(design, effect, source))
    for quantity in QUANTITIES:
        answer = found.quantities[quantity].overall.answer
        truth = f"{quantity} {effect:g} times, {design.name}"
        yield Trial("compare", truth, str(answer), _right(answer, effect))


def _right(answer: Answer, effect: float) -> bool | None:
    if answer is Answer.UNKNOWN:
        return None
    true = Answer.ALIKE if effect == 1 else Answer.FASTER if effect < 1 else Answer.SLOWER
    return answer is true


def drawn(design: Design, effect: float, source: random.Random) -> ComparedStudy:
    study = ComparedStudy()
    for size in design.sizes:
        shared = source.gauss(0, CLUSTER_SIGMA)
        for repeat in range(design.repeats):
            level = source.gauss(0, CLUSTER_SIGMA) if design.own else shared
            cluster = f"{size}-{repeat if design.own else 0}"
            for image in range(design.images):
                item = Item(0, 0, 0, f"image-{image}", "cold")
                usual = math.log(effect * 10 * 1.5**image) + level + source.gauss(0, JOB_SIGMA)
                seconds = [math.exp(usual + source.gauss(0, PULL_SIGMA)) for _ in range(size)]
                ended = max(seconds) + effect * BESIDE_SECONDS * math.exp(level)
                study.pulls.append(Pulls(cluster, size, item, seconds, Streamed.WHOLE))
                study.jobs.append(Ended(cluster, size, item, {Moment.JOB_COMPLETED: ended}, None))
    return study


# Of one cluster, whose own quantiles are the truth: jobs, nodes.
SAMPLES = ((1, 64), (3, 8), (5, 64), (20, 64), (100, 32))
LIMITS = (0.8, 0.95, 1.05, 1.25)  # of the true quantile
SLO_JOB_SIGMA = 0.05
OBJECTIVES = {"median": 0.5, "p95": 0.95, "p99": 0.99}


def objective_trials() -> Iterator[Trial]:
    """Limits near and far from the truth; whether intervals hold it."""
    for jobs, nodes in SAMPLES:
        for seed in range(TRIALS):
            yield from sample_trials(jobs, nodes, seed)


def sample_trials(jobs: int, nodes: int, seed: int) -> Iterator[Trial]:
    """Of one study each objective at each limit, and each quantile's interval."""
    downloads = _downloads(jobs, nodes, random.Random(f"{jobs} {nodes} {seed}"))
    (figure, *_) = pull_seconds(downloads)
    intervals = {"median": figure.interval, "p95": figure.p95_interval, "p99": figure.p99_interval}
    for name, probability in OBJECTIVES.items():
        truth = true_quantile(probability)
        interval = intervals[name]
        if interval is not None:
            yield _interval_trial(f"{name}, {jobs} jobs of {nodes}", truth, interval)
        for limit in LIMITS:
            (found,) = objective_findings([parse_threshold(f"{name} < {limit * truth:.6f}s")], downloads)
            right = None if found.verdict is Verdict.UNKNOWN else (found.verdict is Verdict.YES) == (limit > 1)
            yield Trial(
                "slo", f"{name} at {1 / limit:.0%} of the limit, {jobs} jobs of {nodes}", _MET[found.verdict], right
            )


_MET = {Verdict.YES: "met", Verdict.NO: "missed", Verdict.UNKNOWN: "unknown"}


def _interval_trial(name: str, truth: float, interval: tuple[float | None, float | None]) -> Trial:
    low, high = interval
    said = "both bounds" if low is not None and high is not None else "one bound"
    if low is None and high is None:
        return Trial("interval", name, "no bound", None)
    return Trial("interval", name, said, (low or 0) <= truth <= (math.inf if high is None else high))


def true_quantile(probability: float) -> float:
    return 10 * math.exp(NormalDist().inv_cdf(probability) * math.hypot(PULL_SIGMA, SLO_JOB_SIGMA))


def _downloads(jobs: int, nodes: int, source: random.Random) -> Sequence[Downloads]:
    levels = [math.log(10) + source.gauss(0, SLO_JOB_SIGMA) for _ in range(jobs)]
    return [
        Downloads("c", nodes, "image", "cold", [math.exp(level + source.gauss(0, PULL_SIGMA)) for _ in range(nodes)])
        for level in levels
    ]
