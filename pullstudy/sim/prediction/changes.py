"""What of a cluster, its registry or its images may be changed, as far as the model carries it, and what that saves.

A job is tried as it is and with the change, on the same clusters by the same chances.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pullstudy.sim.model.images import ImageLayer
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_trial import ClusterTrial
from pullstudy.sim.prediction.quantities import quantile

FEWER_LAYERS, AT_ONCE, TIMES = 9, 10, 2.0
NEAR_RESOLVE_SECONDS = 0.12  # of the registry in the same cloud as GKE's nodes; fitted
_NODES = 8  # of a job that is tried in place of a larger one


@dataclass(frozen=True)
class Change:
    """``name`` is kept stable. ``what`` it is in words."""

    name: str
    what: str
    model: Callable[[ModelParameters], ModelParameters] = lambda parameters: parameters
    missing: Callable[[Missing], Missing] = lambda missing: missing


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds of one job on one cluster: its makespan, and its median pull."""

    makespan: float
    pull: float


def _in_fewer_layers(missing: Missing) -> Missing:
    if len(missing.layers) <= FEWER_LAYERS:
        return missing
    compressed, unpacked = missing.compressed_bytes, missing.unpacked_bytes
    each = ImageLayer("sha256:merged", compressed // FEWER_LAYERS, unpacked // FEWER_LAYERS)
    return Missing((each,) * FEWER_LAYERS, compressed, unpacked)


def _near_registry(parameters: ModelParameters) -> ModelParameters:
    seconds = min(NEAR_RESOLVE_SECONDS, parameters.registry.resolve_seconds)
    registry = replace(
        parameters.registry, resolve_seconds=seconds, egress_bytes_per_second=math.inf, requests_per_second=None
    )
    return replace(parameters, registry=registry)


def _nothing_to_ask(parameters: ModelParameters) -> ModelParameters:
    return replace(parameters, registry=replace(parameters.registry, resolve_seconds=0.0))


def _faster_volume(parameters: ModelParameters) -> ModelParameters:
    rate = TIMES * parameters.volume.write_bytes_per_second
    return replace(parameters, volume=replace(parameters.volume, write_bytes_per_second=rate))


def _faster_link(parameters: ModelParameters) -> ModelParameters:
    rate = TIMES * parameters.network.bytes_per_second
    return replace(parameters, network=replace(parameters.network, bytes_per_second=rate))


def _more_at_once(parameters: ModelParameters) -> ModelParameters:
    layers = max(AT_ONCE, parameters.network.parallel_downloads)
    return replace(parameters, network=replace(parameters.network, parallel_downloads=layers))


UNCHANGED = Change("unchanged", "as it is")
CHANGES = (
    Change(
        "pre-pull", "images that are on the nodes before the pods come", _nothing_to_ask, lambda _: Missing((), 0, 0)
    ),
    Change("faster-volume", "volumes that write twice as many bytes a second", _faster_volume),
    Change("fewer-layers", f"the same bytes in {FEWER_LAYERS} layers where there are more", missing=_in_fewer_layers),
    Change("mirror", "a registry in the same network, which bounds and refuses nothing", _near_registry),
    Change("faster-link", "nodes with links of twice the rate", _faster_link),
    Change("parallel-downloads", f"{AT_ONCE} layers downloaded at once (max_concurrent_downloads)", _more_at_once),
)


def outcomes(
    change: Change, draws: Sequence[ModelParameters], missing: Missing, nodes: int, trials: int
) -> Iterator[Outcome]:
    """Of one job on each of so many clusters: the same ones, by the same chances, whatever is changed."""
    for number in range(trials):
        parameters = change.model(_scaled(draws[number % len(draws)], nodes))
        job = ClusterTrial(parameters, tried_nodes(nodes), random.Random(number)).job(change.missing(missing))
        yield Outcome(job.makespan_seconds, quantile(job.pull_seconds, 0.5))


def whole_makespan(parameters: ModelParameters, missing: Missing, nodes: int) -> float:
    """Of one job of all its nodes, as it is."""
    return ClusterTrial(parameters, nodes, random.Random(0)).job(missing).makespan_seconds


def tried_nodes(nodes: int) -> int:
    """How many are tried in place of so many."""
    return min(nodes, _NODES)


def _scaled(parameters: ModelParameters, nodes: int) -> ModelParameters:
    """Fewer nodes than there are, with as much less of the egress."""
    egress = parameters.registry.egress_bytes_per_second * tried_nodes(nodes) / nodes
    return replace(parameters, registry=replace(parameters.registry, egress_bytes_per_second=egress))
