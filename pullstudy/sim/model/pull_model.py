"""How long a pull takes: layers downloaded a few at a time, unpacked one after another, both at once.

Download and unpacking of a layer overlap with those of other layers. With both advancing evenly, the end is the later
of two: the first layer's arrival and then all unpacking, or the last layer's arrival and then its own unpacking.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from pullstudy.sim.model.disk import Disk, paused, unpack
from pullstudy.sim.model.egress import Egress
from pullstudy.sim.model.images import Image, ImageLayer
from pullstudy.sim.model.parameters import ModelParameters, VolumeParameters
from pullstudy.sim.time.clock import VirtualClock

Done = Callable[[], None]


@dataclass(frozen=True)
class Missing:
    """The layers that have to be fetched, and the bytes of all of them."""

    layers: tuple[ImageLayer, ...]
    compressed_bytes: int
    unpacked_bytes: int

    @classmethod
    def of(cls, image: Image, held: frozenset[str] | set[str]) -> "Missing":
        layers = tuple(layer for layer in image.layers if layer.digest not in held)
        return cls(
            layers,
            sum(layer.compressed_bytes for layer in layers),
            sum(layer.unpacked_bytes for layer in layers),
        )


class PullModel:
    """Pulls of all nodes: they share the registry's egress and nothing else."""

    def __init__(
        self, clock: VirtualClock, parameters: ModelParameters, source: random.Random, cluster: random.Random
    ) -> None:
        """``source`` is of the pulls; ``cluster`` of what all pulls of this cluster have in common."""
        self._clock = clock
        self._parameters = parameters
        self._random = source
        self._cluster_factor = _log_normal(cluster, parameters.spread.cluster_sigma)
        registry, network = parameters.registry, parameters.network
        self._egress = Egress(clock, registry.egress_bytes_per_second, network.bytes_per_second)

    def pull(self, missing: Missing, disk: Disk, slowdown: float, done: Done) -> None:
        """Start now; ``done`` is called when the image is there. ``slowdown`` is 1 for an ordinary node."""
        registry = self._parameters.registry
        spread = self._cluster_factor * _log_normal(self._random, self._parameters.spread.pull_sigma)
        slow = slowdown * spread * self._straggle()  # of the link; the disk is the node's own
        jitter = slow * math.exp(self._random.gauss(0.0, registry.latency_sigma))
        resolve = registry.resolve_seconds * jitter
        if not missing.layers:
            self._clock.call_later(resolve, done)
            return
        resolved_at = self._clock.now + resolve
        latency = registry.layer_latency_seconds * jitter

        def downloaded() -> None:
            begin_at = max(resolved_at + latency, disk.free_at)
            noise = slowdown * math.exp(abs(self._random.gauss(0.0, self._parameters.volume.sigma)))
            dirty = disk.dirty_at(begin_at)
            parameters = replace(self._parameters, volume=_slower(self._parameters.volume, spread))
            end, left_dirty = _finish(parameters, missing, begin_at, self._clock.now, latency, dirty, noise)
            disk.settle(end, left_dirty)
            self._clock.call_at(end, done)

        # A slower link is modelled as more bytes to send: shares stay equal, and no node is faster than its link.
        self._clock.call_later(resolve, lambda: self._egress.download(missing.compressed_bytes * slow, downloaded))

    def unpack_seconds(self, missing: Missing) -> float:
        """Unpacking alone, on a clean volume."""
        return unpack(self._parameters.volume, missing.unpacked_bytes).seconds

    def _straggle(self) -> float:
        stragglers = self._parameters.stragglers
        return stragglers.slowdown if self._random.random() < stragglers.probability else 1.0


def _log_normal(source: random.Random, sigma: float) -> float:
    """Nothing is drawn where there is no spread: seeds keep their pulls."""
    return math.exp(source.gauss(0.0, sigma)) if sigma else 1.0


def _slower(volume: VolumeParameters, factor: float) -> VolumeParameters:
    """Unpacking that takes this many times as long; what the volume writes is its own."""
    if factor == 1.0:
        return volume
    return replace(volume, unpack_bytes_per_second=volume.unpack_bytes_per_second / factor)


def _finish(
    parameters: ModelParameters,
    missing: Missing,
    begin_at: float,
    downloaded_at: float,
    latency: float,
    dirty_bytes: float,
    noise: float,
) -> tuple[float, float]:
    """When the pull ends, and what is dirty then. Unpacking begins at ``begin_at``; the latencies of the requests lie
    beside the transfer, which ended at ``downloaded_at``. ``noise`` is 1 or more: the rates are what cache and volume
    can do."""
    volume, count = parameters.volume, len(missing.layers)
    rounds = math.ceil(count / parameters.network.parallel_downloads)
    last_at = max(downloaded_at + rounds * latency, begin_at)
    steady = unpack(volume, missing.unpacked_bytes, dirty_bytes, missing.unpacked_bytes / count)
    unpacked = paused(volume, steady, steady.seconds * (noise - 1))
    return max(begin_at + unpacked.seconds, last_at + unpacked.seconds / count), unpacked.dirty_bytes


def nominal_seconds(parameters: ModelParameters, image: Image) -> float:
    """A cold pull on an idle node from an idle registry, without any spread."""
    missing = Missing.of(image, frozenset())
    registry, network = parameters.registry, parameters.network
    rate = min(registry.egress_bytes_per_second, network.bytes_per_second)
    resolved_at, latency = registry.resolve_seconds, registry.layer_latency_seconds
    downloaded_at = resolved_at + missing.compressed_bytes / rate
    return _finish(parameters, missing, resolved_at + latency, downloaded_at, latency, 0.0, 1.0)[0]
