"""Changes that are promised to save so many seconds, and what they save when they are made on the same cluster.

Three images on 8 nodes, twice each: on ordinary nodes, on nodes with a slow link, with a registry that sends slowly,
and with one that is far away. Clusters differ by 5% and pulls by 8%.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.known_truth.simulated_jobs import SPREAD, SimulatedJob, image_of, simulated_jobs
from bench.known_truth.trial import Trial
from driver.planning.advice import JobGroup, findings_of
from driver.planning.study import Images, SimPlan, Study
from pullstudy.analysis.findings.finding import Finding
from pullstudy.pulls.image_size import ImageSize
from pullstudy.sim.cluster import ClusterSettings, SimCluster
from pullstudy.sim.model.images import ImageCatalogue
from pullstudy.sim.model.parameters import EKS, ModelParameters, override
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.changes import CHANGES, FEWER_LAYERS, Change

NODES, REPEATS, TRIALS = 8, 2, 20
CLOSE = 0.2  # promised against got
LEAST = 0.02  # of all makespans: a change that saves less is right not to be advised
APP, MANY = "registry.example/app:1", image_of(125, 1_176_249_324)
SIZES = {APP: ImageSize(layers=(500_000_000, 60_000_000, 40_000_000))}
IMAGES = (APP, MANY, image_of(9, 6_836_726_027))
CASES: dict[str, Mapping[str, Mapping[str, float]]] = {
    "ordinary nodes": {},
    "a slow link": {"network": {"bytes_per_second": 30e6}},
    "a registry that sends slowly": {"registry": {"egress_bytes_per_second": 150e6}},
    "a far registry": {"registry": {"resolve_seconds": 3.0, "layer_latency_seconds": 0.4}},
}


OTHER = {"volume": {"write_bytes_per_second": 1e9}}  # of a cluster that the model is not of


def trials() -> Iterator[Trial]:
    for case in CASES:
        for seed in range(TRIALS):
            yield from case_trials(case, seed)
    yield from (other_trial(seed) for seed in range(TRIALS))


def other_trial(seed: int) -> Trial:
    """Of jobs on nodes whose volumes nobody waits for, by a model in which all do: right is to say nothing."""
    jobs = _makespans(override(EKS, {**OTHER, "spread": SPREAD}), seed)
    found = list(findings_of(_groups(jobs), _study({"spread": SPREAD}), "kubeconfig", None))
    nothing = all(each is None or each.value is None for each in found)
    return Trial("advice", "a model of another cluster", "nothing" if nothing else "something", nothing)


def case_trials(case: str, seed: int) -> Iterator[Trial]:
    """Each change once: what was promised, and what making it on the same cluster saves."""
    changes = {**CASES[case], "spread": SPREAD}
    parameters = override(EKS, changes)
    before = _makespans(parameters, seed)
    found = {
        each.subject: each for each in findings_of(_groups(before), _study(changes), "sim", None) if each is not None
    }
    for change in CHANGES:
        after = _makespans(change.model(parameters), seed, change)
        got = sum(job.makespan_seconds for job in before) - sum(job.makespan_seconds for job in after)
        whole = sum(job.makespan_seconds for job in before)
        yield _trial(f"{change.name}, {case}", found.get(change.name), got, whole)


def _study(changes: Mapping[str, Mapping[str, float]]) -> Study:
    model = {group: dict(values) for group, values in changes.items()}
    return Study(images=Images(tags=(), more=IMAGES, sizes=SIZES), sim=SimPlan(model=model))


def _trial(truth: str, found: Finding | None, got: float, whole: float) -> Trial:
    if found is None:
        return Trial("advice", truth, "nothing", True if got < LEAST * whole else None)
    close = isinstance(found.value, float) and abs(found.value - got) <= CLOSE * abs(got)
    return Trial("advice", truth, "as much as promised" if close else "more or less", close)


def _groups(jobs: list[SimulatedJob]) -> list[JobGroup]:
    catalogue = ImageCatalogue(SIZES)
    return [
        JobGroup(
            image,
            NODES,
            tuple(job.makespan_seconds for job in jobs if job.image == image),
            Missing.of(catalogue.describe(image), frozenset()),
        )
        for image in IMAGES
    ]


@dataclass(frozen=True)
class _Changed:
    """The images as a registry has them then."""

    sizes: dict[str, ImageSize]
    held: bool = False


def _images(change: Change | None) -> _Changed:
    if change is None or change.name not in ("fewer-layers", "pre-pull"):
        return _Changed(SIZES)
    if change.name == "pre-pull":
        return _Changed(SIZES, held=True)
    described = {image: ImageCatalogue(SIZES).describe(image) for image in IMAGES}
    merged = {
        image: ImageSize(
            layers=(each.compressed_bytes // FEWER_LAYERS,) * FEWER_LAYERS, unpacked_bytes=each.unpacked_bytes
        )
        for image, each in described.items()
        if len(each.layers) > FEWER_LAYERS
    }
    return _Changed({**SIZES, **merged})


def _makespans(parameters: ModelParameters, seed: int, change: Change | None = None) -> list[SimulatedJob]:
    images = _images(change)
    settings = ClusterSettings(f"sim-{NODES}", NODES, 1_000_000 + seed, parameters=parameters, images=images.sizes)
    cluster = SimCluster(settings)
    return list(simulated_jobs(cluster, _in_turn(cluster, images)))


def _in_turn(cluster: SimCluster, images: _Changed) -> Iterator[str]:
    """Each image as its job begins."""
    for image in IMAGES * REPEATS:
        for node in cluster.fleet.all() if images.held else ():
            node.add(ImageCatalogue(images.sizes).describe(image))
        yield image
