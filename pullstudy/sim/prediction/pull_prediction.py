"""How long the pulls of one job will take, in some milliseconds: for what is asked before each job of a sweep.

A few pulls are tried on each of many clusters. Nodes have nothing but the registry's egress in common: as long as that
bounds none of them, the pulls of a large cluster are those of a small one.
"""

import random
from collections.abc import Sequence

import msgspec

from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_trial import ClusterTrial, bound_at, bucket_of
from pullstudy.sim.prediction.quantities import Bounds, bounds, quantile
from pullstudy.sim.prediction.transfers import transfers

_CLUSTERS, _PODS = 100, 4
_NOTICED_SECONDS = 0.02  # a download that others make longer by less is alone


class PullPrediction(msgspec.Struct, frozen=True):
    """Seconds: of the median pull, and the bounds of nine of ten single pulls."""

    median: float
    single: Bounds


def predict_pulls(draws: Sequence[ModelParameters], missing: Missing, nodes: int, seed: int) -> PullPrediction:
    """A pod a node. ``draws``: the parameters, or a draw of them each."""
    source = random.Random(seed)
    pulls = sorted(
        seconds
        for number in range(_CLUSTERS)
        for seconds in ClusterTrial(draws[number % len(draws)], nodes, source).some_pulls(missing, min(nodes, _PODS))
    )
    return PullPrediction(quantile(pulls, 0.5), bounds(pulls))


def egress_bounds(parameters: ModelParameters, missing: Missing, nodes: int) -> bool:
    """Whether any download of so many nodes is slower for the others' sake."""
    alone = missing.compressed_bytes / parameters.network.bytes_per_second
    bound = bound_at(parameters.control, bucket_of(parameters.control), nodes)
    downloads = [(at, float(missing.compressed_bytes)) for at in bound]
    shared = transfers(downloads, parameters.registry.egress_bytes_per_second, parameters.network.bytes_per_second)
    return any(end - at > alone + _NOTICED_SECONDS for at, end in zip(bound, shared.ends, strict=True))
