"""Pulls that are slow for an image's, a registry's or the controller's sake, and which of them the product names.

Two registries of three images each, two jobs an image, on one cluster of 16 or 64 nodes; pulls differ by 8%. A slow
image or registry makes one pull in five of its own 1.6 times as long or longer; where neither is slow, one pull in
fifty of all is so. A slow controller schedules half of a job's pods later by a fifth of the usual pull.
"""

import random
from collections.abc import Iterator
from itertools import product

from bench.known_truth.simulated_jobs import SimulatedJob, SimulatedPod
from bench.known_truth.stragglers import timeline
from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.stragglers import Stragglers

PULL_SIGMA = 0.08
USUAL_SECONDS = 20.0
SIZES = (16, 64)
STUDIES = 100
REGISTRIES = ("one.example.org", "two.example.org")
IMAGES = tuple(f"{registry}/app-{number}:1" for registry in REGISTRIES for number in range(3))
SLOW_IMAGE, SLOW_REGISTRY = IMAGES[0], REGISTRIES[0]
OFTEN, SELDOM = 0.2, 0.02  # of pulls
CAUSES = ("nothing", "image", "registry", "controller")


def trials() -> Iterator[Trial]:
    for size, cause in product(SIZES, CAUSES):
        for seed in range(STUDIES):
            yield from study_trials(size, cause, seed)


def study_trials(size: int, cause: str, seed: int) -> Iterator[Trial]:
    """One trial of the cause, and one of whether anything else was blamed."""
    source = random.Random(f"{size} {cause} {seed}")
    found = Stragglers()
    for repeat, image in product((1, 2), IMAGES):
        found.add(timeline(_job(size, image, repeat, cause, source)))
    kinds = ("image ", "registry ", "controller")
    named = {each.subject for each in found.findings() if each.verdict is Verdict.YES}
    blamed = {subject for subject in named if subject.startswith(kinds)}
    true = {"image": f"image {SLOW_IMAGE}", "registry": f"registry {SLOW_REGISTRY}", "controller": "controller"}
    cause_of = true.get(cause)
    if cause_of:
        said = cause if cause_of in blamed else "nothing"
        yield Trial("blame", f"{cause} is slow, {size} nodes", said, True if cause_of in blamed else None)
    others = sorted({subject.partition(" ")[0] for subject in blamed - {cause_of}})
    truth = f"nothing else than {cause} is slow" if cause_of else "nothing is slow"
    yield Trial("blame", f"{truth}, {size} nodes", " and ".join(others) or "nothing", not others)


def _job(size: int, image: str, repeat: int, cause: str, source: random.Random) -> SimulatedJob:
    pods = tuple(_pod(f"node-{number}", number, image, cause, source) for number in range(size))
    return SimulatedJob("sim", size, image, repeat, 0.0, max(pod.finished for pod in pods) + 1.0, pods)


def _pod(node: str, number: int, image: str, cause: str, source: random.Random) -> SimulatedPod:
    late = USUAL_SECONDS / 5 if cause == "controller" and number % 2 else 0.0
    scheduled = 0.1 + late + 0.01 * source.random()
    pulling = scheduled + 0.2
    chance = {"image": OFTEN if image == SLOW_IMAGE else 0.0, "nothing": SELDOM, "controller": SELDOM}.get(
        cause, OFTEN if image.startswith(SLOW_REGISTRY) else 0.0
    )
    slow = source.uniform(1.6, 2.5) if source.random() < chance else 1.0
    seconds = USUAL_SECONDS * slow * source.lognormvariate(0.0, PULL_SIGMA)
    ended = pulling + seconds
    return SimulatedPod(node, scheduled, pulling, ended, ended + 0.3, ended + 1.0, seconds)
