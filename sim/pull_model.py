"""How long a pull takes: layers downloaded a few at a time, unpacked one after another, both at once.

Download and unpacking of a layer overlap with those of other layers. With both advancing evenly, the end is the later
of two: the first layer's arrival and then all unpacking, or the last layer's arrival and then its own unpacking.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from sim.clock import VirtualClock
from sim.disk import Disk
from sim.egress import Egress
from sim.images import Image, Layer
from sim.parameters import ModelParameters

Done = Callable[[], None]


@dataclass(frozen=True)
class Missing:
    """The layers that have to be fetched, and the bytes of all of them."""

    layers: tuple[Layer, ...]
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

    def __init__(self, clock: VirtualClock, parameters: ModelParameters, source: random.Random) -> None:
        self._clock = clock
        self._parameters = parameters
        self._random = source
        registry, network = parameters.registry, parameters.network
        self._egress = Egress(clock, registry.egress_bytes_per_second, network.bytes_per_second)

    def pull(self, missing: Missing, disk: Disk, slowdown: float, done: Done) -> None:
        """Start now; ``done`` is called when the image is there. ``slowdown`` is 1 for an ordinary node."""
        registry = self._parameters.registry
        slow = slowdown * self._straggle()  # of the link; the disk is the node's own
        jitter = slow * math.exp(self._random.gauss(0.0, registry.latency_sigma))
        resolve = registry.resolve_seconds * jitter
        if not missing.layers:
            self._clock.call_later(resolve, done)
            return
        resolved_at = self._clock.now + resolve
        latency = registry.layer_latency_seconds * jitter

        def downloaded() -> None:
            self._clock.call_at(self._end(resolved_at, latency, missing, disk, slowdown), done)

        # A slower link is modelled as more bytes to send: shares stay equal, and no node is faster than its link.
        self._clock.call_later(resolve, lambda: self._egress.download(missing.compressed_bytes * slow, downloaded))

    def _straggle(self) -> float:
        stragglers = self._parameters.stragglers
        return stragglers.slowdown if self._random.random() < stragglers.probability else 1.0

    def _end(self, resolved_at: float, latency: float, missing: Missing, disk: Disk, slowdown: float) -> float:
        """All bytes have come now; the requests' latencies and the unpacking lie beside and after the transfer."""
        volume = self._parameters.volume
        count = len(missing.layers)
        rounds = math.ceil(count / self._parameters.network.parallel_downloads)
        first_at = max(resolved_at + latency, disk.free_at)
        last_at = max(self._clock.now + rounds * latency, first_at)
        unpacked = disk.unpack(first_at, missing.unpacked_bytes)
        # Noise only ever slows: the rates are what cache and volume can do.
        noise = slowdown * math.exp(abs(self._random.gauss(0.0, volume.sigma)))
        busy = unpacked.busy_seconds / unpacked.seconds if unpacked.seconds else 0.0
        commit = volume.commit_seconds + busy * (volume.busy_commit_seconds - volume.commit_seconds)
        all_seconds = unpacked.seconds * noise + count * commit
        end = max(first_at + all_seconds, last_at + all_seconds / count)
        disk.settle(end, unpacked.dirty_bytes)
        return end
