"""Jobs on simulated clusters whose parameters and spread are known, and what was foretold of them.

Foretold is by a model of the same parameters; where these are known but roughly, by a model with draws, of which each
cluster is one that the model has not got. Clusters differ by 5% and pulls by 8%.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from bench.known_truth.simulated_jobs import SPREAD, SimulatedJob, image_of, simulated_jobs
from bench.known_truth.trial import Trial
from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.cluster import ClusterSettings, SimCluster
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.parameters import EKS, PROFILES, ModelParameters, override
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_prediction import JobPrediction, predict_job
from pullstudy.sim.prediction.quantities import Bounds, Estimate, quantile

TRIALS = 240
SEED = 1_000_000  # of the clusters, from there on: the foretelling has others
DRAWS, ROUGHLY = 60, 0.12  # how many, and by how much a parameter differs that is known but roughly
FEW, MANY, LARGE = image_of(9, 1_176_249_324), image_of(125, 1_176_249_324), image_of(9, 6_836_726_027)
APP, BASE = "registry.example/app:1", "registry.example/base:1"
_BASE_LAYER = "sha256:" + "b" * 64
SIZES = {
    APP: ImageSize(layers=(400_000_000, 60_000_000, 40_000_000), digests=(_BASE_LAYER, "sha256:c", "sha256:d")),
    BASE: ImageSize(layers=(400_000_000,), digests=(_BASE_LAYER,)),
}


@dataclass(frozen=True)
class Case:
    """One job on one kind of cluster. ``held`` is an image that its nodes have; ``rough`` parameters differ."""

    name: str
    image: str
    nodes: int
    egress_bytes_per_second: float = 12.5e9
    held: str | None = None
    rough: tuple[tuple[str, str], ...] = ()
    profile: str | None = None  # with its own spread

    @property
    def parameters(self) -> ModelParameters:
        if self.profile is not None:
            return PROFILES[self.profile]
        registry = {"egress_bytes_per_second": self.egress_bytes_per_second}
        return override(EKS, {"registry": registry, "spread": SPREAD})

    def drawn(self, source: random.Random) -> ModelParameters:
        """One cluster's, or one draw's."""
        found = self.parameters
        for group, name in self.rough:
            value = getattr(getattr(found, group), name) * source.lognormvariate(0, ROUGHLY)
            found = override(found, {group: {name: value}})
        return found

    @property
    def missing(self) -> Missing:
        catalogue = ImageCatalogue(SIZES)
        held = {layer.digest for layer in catalogue.describe(self.held).layers} if self.held else set()
        return Missing.of(catalogue.describe(self.image), held)


CASES = (
    Case("9 layers, 4 nodes", FEW, 4),
    Case("9 layers, 32 nodes", FEW, 32),
    Case("9 layers of 6.8 GB, 16 nodes", LARGE, 16),
    Case("125 layers, 4 nodes", MANY, 4),
    Case("125 layers, 16 nodes", MANY, 16),
    Case("egress bounds, 16 nodes", APP, 16, egress_bytes_per_second=0.5e9),
    Case("a layer is held, 8 nodes", APP, 8, held=BASE),
    Case("eks-gp2, 16 nodes", MANY, 16, profile="eks-gp2"),
    Case("gke-pd, 8 nodes", APP, 8, profile="gke-pd"),
    Case(
        "known but roughly, 8 nodes",
        MANY,
        8,
        rough=(
            ("volume", "unpack_bytes_per_second"),
            ("registry", "layer_latency_seconds"),
            ("registry", "resolve_seconds"),
        ),
    ),
)


def trials() -> Iterator[Trial]:
    for case in CASES:
        for seed in range(TRIALS):
            yield from case_trials(case, seed)


def case_trials(case: Case, seed: int) -> Iterator[Trial]:
    """Of one job on one cluster: its median pull, its p95, its makespan, and each of its pulls."""
    job, said = _job(case, seed), _foretold(case)
    pulls = sorted(pod.pull_seconds for pod in job.pods)
    yield _trial(f"median, {case.name}", quantile(pulls, 0.5), said.pull.p50)
    yield _trial(f"p95, {case.name}", quantile(pulls, 0.95), said.pull.p95)
    yield _trial(f"makespan, {case.name}", job.makespan_seconds, said.single_makespan)
    for seconds in pulls:
        yield _trial(f"a pull, {case.name}", seconds, said.single_pull)


@cache
def _foretold(case: Case) -> JobPrediction:
    source = random.Random("draws")
    draws = [case.drawn(source) for _ in range(DRAWS)] if case.rough else [case.parameters]
    return predict_job(draws, case.missing, case.nodes, seed=1)


def _job(case: Case, seed: int) -> SimulatedJob:
    parameters = case.drawn(random.Random(f"cluster {seed}"))
    settings = ClusterSettings(f"sim-{case.nodes}", case.nodes, SEED + seed, parameters=parameters, images=SIZES)
    cluster = SimCluster(settings)
    if case.held:
        for node in cluster.fleet.all():
            node.add(ImageCatalogue(SIZES).describe(case.held))
    (job,) = simulated_jobs(cluster, [case.image])
    return job


def _trial(truth: str, value: float, said: Estimate | Bounds) -> Trial:
    words = "below" if value < said.low else "above" if value > said.high else "within"
    return Trial("predict", truth, words, words == "within")
