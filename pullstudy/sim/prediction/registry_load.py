"""What a job's nodes, all at once, ask of the registry, and how fast it has to send so that it does not bound them.

The requests are containerd's (core/remotes/docker: resolver.go, fetcher.go): a tag is asked for by HEAD without a
token and, once that is had, with it; then the manifest, the config and each layer are fetched by their digests.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.model.pull_model import Missing
from pullstudy.sim.prediction.job_trial import ClusterTrial, JobTrial
from pullstudy.sim.prediction.quantities import quantile

GIGABIT_10 = 1.25e9  # bytes a second
_UNBOUND = 1.02  # times as long as with a registry that sends without any limit: no longer than this
_STEPS = 12


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """By what they are for."""

    token: int
    manifest: int
    config: int
    blobs: int

    @property
    def total(self) -> int:
        return self.token + self.manifest + self.config + self.blobs


class Slowed(msgspec.Struct, frozen=True, kw_only=True):
    """With such an egress the median pull takes so many times as long as with one without limit."""

    egress_bytes_per_second: float
    times_as_long: float


class RegistryLoad(msgspec.Struct, frozen=True, kw_only=True):
    """``bytes`` are of the layers. ``refusals``: None where the model has no limit to requests."""

    requests: Requests
    bytes: int
    busiest_second_bytes: float
    refusals: int | None
    needed_egress_bytes_per_second: float
    slowed: tuple[Slowed, ...]


def registry_load(parameters: ModelParameters, missing: Missing, nodes: int, seed: int) -> RegistryLoad:
    """By one job, tried with the same chances and another egress each time."""
    unlimited = _job(parameters, missing, nodes, seed, math.inf)
    shared = _job(parameters, missing, nodes, seed, parameters.registry.egress_bytes_per_second)
    needed = _needed(parameters, missing, nodes, seed, _median(unlimited))
    return RegistryLoad(
        requests=Requests(token=nodes, manifest=3 * nodes, config=nodes, blobs=nodes * len(missing.layers)),
        bytes=nodes * missing.compressed_bytes,
        busiest_second_bytes=min(shared.transfers.busiest_second_bytes, parameters.registry.egress_bytes_per_second),
        refusals=None if parameters.registry.requests_per_second is None else shared.refused,
        needed_egress_bytes_per_second=needed,
        slowed=tuple(
            Slowed(
                egress_bytes_per_second=egress,
                times_as_long=_median(_job(parameters, missing, nodes, seed, egress)) / _median(unlimited),
            )
            for egress in _less_than(needed, parameters.registry.egress_bytes_per_second)
        ),
    )


def _less_than(needed: float, own: float) -> Iterator[float]:
    """What is looked at: the model's egress where it bounds, a link of 10 Gbit/s, or else halves of what is needed."""
    named = sorted({each for each in (own, GIGABIT_10) if each < needed}, reverse=True)
    yield from named or (needed / 2, needed / 4)


def _needed(parameters: ModelParameters, missing: Missing, nodes: int, seed: int, unlimited: float) -> float:
    """The least egress with which the median pull is nearly as short as without a limit."""
    low, high = 1.0, nodes * parameters.network.bytes_per_second  # the higher is none: each node has its whole link
    if not missing.compressed_bytes:
        return 0.0
    for _ in range(_STEPS):
        between = math.sqrt(low * high)
        if _median(_job(parameters, missing, nodes, seed, between)) > _UNBOUND * unlimited:
            low = between
        else:
            high = between
    return high


def _job(parameters: ModelParameters, missing: Missing, nodes: int, seed: int, egress: float) -> JobTrial:
    registry = replace(parameters.registry, egress_bytes_per_second=egress)
    return ClusterTrial(replace(parameters, registry=registry), nodes, random.Random(seed)).job(missing)


def _median(job: JobTrial) -> float:
    return quantile(job.pull_seconds, 0.5)
