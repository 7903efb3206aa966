"""How much pulls, nodes, jobs and clusters differ from what a fit says of them: log-normal components.

Each component slows a part of the pull: how much of a pull's time that is follows from the model (its elasticity). The
components are those of which the variances within and between jobs are likeliest, then all are scaled so that nine
tenths of the pulls lie within the model's 90 % interval.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from statistics import fmean, median, variance

from pullstudy.sim.calibration.free_parameters import value_of, with_values
from pullstudy.sim.calibration.seen_jobs import SeenJob
from pullstudy.sim.model.parameters import ModelParameters

Z90 = 1.6448536  # half of the width of a normal distribution's 90 % interval, in standard deviations
_STEP = 1.02
LEAST = {
    "registry.latency_sigma": 0.02,
    "spread.pull_sigma": 0.01,
    "spread.node_sigma": 0.005,
    "spread.job_sigma": 0.01,
}
BELIEF = 0.7  # how far each may be from the base profile's, as a factor's logarithm (one standard deviation)
CLUSTER_SIGMA = 0.03  # what clusters differ by where too few were seen to tell
ENOUGH_CLUSTERS = 4
_SCALES = (0.5, 3.0)
FEW_PULLS = 100  # so few do not tell that the spread is narrower than the variances say
TAIL = 4.0  # degrees of freedom of Student's t: a job in trouble is not to widen the spread of all


@dataclass(frozen=True)
class Elasticities:
    """By how many per cent a pull takes longer if a part of it takes one per cent longer."""

    registry: float
    all_but_volume: float
    node: float


def elasticities(parameters: ModelParameters, job: SeenJob) -> Elasticities:
    """Of one pull."""
    registry, network, volume = parameters.registry, parameters.network, parameters.volume
    slow_registry = replace(
        registry,
        resolve_seconds=registry.resolve_seconds * _STEP,
        layer_latency_seconds=registry.layer_latency_seconds * _STEP,
        streamed_seconds=None if registry.streamed_seconds is None else registry.streamed_seconds * _STEP,
    )
    slow_link = replace(network, bytes_per_second=network.bytes_per_second / _STEP)
    slow_unpack = replace(volume, unpack_bytes_per_second=volume.unpack_bytes_per_second / _STEP)
    slow_node = replace(slow_unpack, write_bytes_per_second=volume.write_bytes_per_second / _STEP)
    nominal = job.nominal_seconds(parameters)

    def of(slow: ModelParameters) -> float:
        return log(job.nominal_seconds(slow) / nominal) / log(_STEP)

    return Elasticities(
        of(replace(parameters, registry=slow_registry)),
        of(replace(parameters, registry=slow_registry, network=slow_link, volume=slow_unpack)),
        of(replace(parameters, volume=slow_node)),
    )


@dataclass(frozen=True)
class Spread:
    """Variances of the logarithm of one pull's seconds: from pull to pull, and of what its job's have in common."""

    pull: float
    job: float

    @property
    def sigma(self) -> float:
        return sqrt(self.pull + self.job)


def spread_of(parameters: ModelParameters, job: SeenJob) -> Spread:
    """By the model's own spreads; a node counts as a pull."""
    each, spread = elasticities(parameters, job), parameters.spread
    pull = (
        (each.registry * parameters.registry.latency_sigma) ** 2
        + (each.all_but_volume * spread.pull_sigma) ** 2
        + (each.node * spread.node_sigma) ** 2
        + parameters.volume.sigma**2
    )
    return Spread(pull, each.all_but_volume**2 * (spread.job_sigma**2 + spread.cluster_sigma**2))


@dataclass(frozen=True)
class _JobVariance:
    """Of the pulls of one job, and how far their median is from the nominal."""

    cluster: str
    elasticities: Elasticities
    pulls: int
    variance: float | None
    miss: float


def fit_spreads(jobs: Sequence[SeenJob], parameters: ModelParameters) -> dict[str, float]:
    """The spreads by ``group.name``."""
    seen = [_job_variance(job, parameters) for job in jobs]
    sigmas = _likeliest(seen, parameters)
    sigmas["spread.cluster_sigma"] = _cluster_sigma(seen)
    scale = _scale(jobs, with_values(parameters, sigmas))
    return {name: sigma * scale for name, sigma in sigmas.items()}


def _job_variance(job: SeenJob, parameters: ModelParameters) -> _JobVariance:
    logarithms = [log(each) for each in job.ordinary_seconds]
    return _JobVariance(
        job.cluster,
        elasticities(parameters, job),
        len(logarithms),
        variance(logarithms) if len(logarithms) > 1 else None,
        median(logarithms) - log(job.nominal_seconds(parameters)),
    )


def _likeliest(seen: Sequence[_JobVariance], base: ModelParameters) -> dict[str, float]:
    """Of the four components, by the distribution of variances, with a belief of a factor of two about the base's."""
    from scipy.optimize import minimize

    usual = {name: max(least, value_of(base, name) or 0.0) for name, least in LEAST.items()}
    names, volume_sigma = list(usual), base.volume.sigma
    days = _cluster_means(seen)

    def cost(logs: Sequence[float]) -> float:
        sigmas = {name: exp(each) for name, each in zip(names, logs, strict=True)}
        total = sum(((each - log(usual[name])) / BELIEF) ** 2 / 2 for name, each in zip(names, logs, strict=True))
        for each in seen:
            within = _within(each.elasticities, sigmas, volume_sigma)
            if each.variance is not None:
                freedom = each.pulls - 1
                far = log(1 + freedom * each.variance / (TAIL * within))
                total += freedom / 2 * log(within) + (TAIL + freedom) / 2 * far
            # A median's variance is pi / 2 times a mean's.
            between = (each.elasticities.all_but_volume * sigmas["spread.job_sigma"]) ** 2 + 1.57 * within / each.pulls
            far = log(1 + (each.miss - days[each.cluster]) ** 2 / (TAIL * between))
            total += log(between) / 2 + (TAIL + 1) / 2 * far
        return total

    starts = [[log(each) + shift for each in usual.values()] for shift in (-1.0, 0.0, 1.0)]
    bounds = [(log(1e-4), log(1.0))] * len(names)
    best = min((minimize(cost, start, bounds=bounds) for start in starts), key=lambda each: float(each.fun))
    return {name: exp(float(each)) for name, each in zip(names, best.x, strict=True)}


def _within(each: Elasticities, sigmas: Mapping[str, float], volume_sigma: float) -> float:
    return (
        (each.registry * sigmas["registry.latency_sigma"]) ** 2
        + (each.all_but_volume * sigmas["spread.pull_sigma"]) ** 2
        + (each.node * sigmas["spread.node_sigma"]) ** 2
        + volume_sigma**2
    )


def _cluster_means(seen: Sequence[_JobVariance]) -> dict[str, float]:
    by_cluster: dict[str, list[float]] = defaultdict(list)
    for each in seen:
        by_cluster[each.cluster].append(each.miss)
    return {cluster: median(misses) for cluster, misses in by_cluster.items()}


def _cluster_sigma(seen: Sequence[_JobVariance]) -> float:
    means = list(_cluster_means(seen).values())
    if len(means) < ENOUGH_CLUSTERS:
        return CLUSTER_SIGMA
    return sqrt(fmean(each**2 for each in means))


def _scale(jobs: Sequence[SeenJob], parameters: ModelParameters) -> float:
    """By how much the spreads have to be wider for nine tenths of the pulls to be within them."""
    sizes = []
    for job in jobs:
        nominal = log(job.nominal_seconds(parameters))
        sigma = spread_of(parameters, job).sigma
        sizes += [abs(log(each) - nominal) / sigma for each in job.seconds]
    sizes.sort()
    least = 1.0 if len(sizes) < FEW_PULLS else _SCALES[0]
    return min(max(sizes[int(0.9 * (len(sizes) - 1))] / Z90, least), _SCALES[1])
