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
from pullstudy.sim.model.request_limit import RequestLimit
from pullstudy.sim.time.clock import VirtualClock


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


@dataclass(frozen=True, slots=True)
class PullChance:
    """What chance makes of one pull: how many times as long as the parameters say."""

    link: float
    requests: float  # token, manifest, and each layer's until its first byte
    unpacking: float  # what the volume writes is its own


class PullChances:
    """Draws them, for the pulls of one cluster."""

    def __init__(self, parameters: ModelParameters, source: random.Random, cluster: random.Random) -> None:
        """``source`` is of the pulls; ``cluster`` of what all pulls of this cluster have in common."""
        self._parameters = parameters
        self._random = source
        self._cluster = cluster
        self._cluster_factor = _log_normal(cluster, parameters.spread.cluster_sigma)
        self._job_factors: dict[str, float] = {}

    def draw(self, slowdown: float, job: str) -> PullChance:
        """Of a pull that begins. ``slowdown`` is 1 for an ordinary node; pulls of one ``job`` share its moment."""
        parameters = self._parameters
        spread = self._cluster_factor * self._job_factor(job)
        spread *= _log_normal(self._random, parameters.spread.pull_sigma)
        link = slowdown * spread * self._straggle()  # of the link; the disk is the node's own
        requests = link * math.exp(self._random.gauss(0.0, parameters.registry.latency_sigma))
        return PullChance(link, requests, spread)

    def pauses(self, slowdown: float) -> float:
        """How many times as long unpacking takes: 1 or more, as the rates are what cache and volume can do."""
        return slowdown * math.exp(abs(self._random.gauss(0.0, self._parameters.volume.sigma)))

    def _job_factor(self, job: str) -> float:
        if job not in self._job_factors:
            self._job_factors[job] = _log_normal(self._cluster, self._parameters.spread.job_sigma)
        return self._job_factors[job]

    def _straggle(self) -> float:
        stragglers = self._parameters.stragglers
        return stragglers.slowdown if self._random.random() < stragglers.probability else 1.0


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What the layers' part of a pull is reckoned from, in the clock's seconds."""

    missing: Missing
    downloaded_at: float  # the bytes alone: the latencies of the requests lie beside the transfer
    latency_seconds: float  # of each layer's request
    parallel_downloads: int
    begin_at: float
    volume: VolumeParameters
    dirty_bytes: float  # when it begins
    pauses: float  # as many times longer it takes


@dataclass(frozen=True, slots=True)
class PullCourse:
    """How a pull went, in the clock's seconds."""

    started_at: float
    resolved_at: float
    ended_at: float
    unpacking: Unpacking | None = None  # None where no layer was missing


Done = Callable[[PullCourse], None]


class PullModel:
    """Pulls of all nodes: they share the registry's egress and nothing else."""

    def __init__(
        self, clock: VirtualClock, parameters: ModelParameters, source: random.Random, cluster: random.Random
    ) -> None:
        """``source`` and ``cluster`` as PullChances takes them."""
        self._clock = clock
        self._parameters = parameters
        self._chances = PullChances(parameters, source, cluster)
        registry, network = parameters.registry, parameters.network
        self._limit = RequestLimit(registry)
        self._egress = Egress(clock, registry.egress_bytes_per_second, network.bytes_per_second)

    def refuses(self) -> bool:
        """Whether the registry refuses a pull that starts now: it has had too many requests."""
        return self._limit.refuses(self._clock.now)

    def pull(self, missing: Missing, disk: Disk, slowdown: float, job: str, done: Done) -> None:
        """Start now; ``done`` is called when the image is there. ``slowdown`` is 1 for an ordinary node."""
        chance, started_at = self._chances.draw(slowdown, job), self._clock.now
        registry = self._parameters.registry
        if registry.streamed_seconds is not None:
            end = started_at + registry.streamed_seconds * chance.requests
            self._clock.call_at(end, lambda: done(PullCourse(started_at, end, end)))
            return
        resolve = registry.resolve_seconds * chance.requests
        resolved_at = started_at + resolve
        if not missing.layers:
            self._clock.call_later(resolve, lambda: done(PullCourse(started_at, resolved_at, resolved_at)))
            return

        def downloaded() -> None:
            pauses = self._chances.pauses(slowdown)
            unpacking = _unpacking(self._parameters, missing, disk, chance, resolved_at, self._clock.now, pauses)
            end = _end(unpacking, disk)
            self._clock.call_at(end, lambda: done(PullCourse(started_at, resolved_at, end, unpacking)))

        # A slower link is modelled as more bytes to send: shares stay equal, and no node is faster than its link.
        self._clock.call_later(
            resolve, lambda: self._egress.download(missing.compressed_bytes * chance.link, downloaded)
        )

    def unpack_seconds(self, missing: Missing) -> float:
        """Unpacking alone, on a clean volume."""
        return unpack(_decompressing(self._parameters.volume, missing), missing.unpacked_bytes).seconds


def _log_normal(source: random.Random, sigma: float) -> float:
    """Nothing is drawn where there is no spread: seeds keep their pulls."""
    return math.exp(source.gauss(0.0, sigma)) if sigma else 1.0


def _slower(volume: VolumeParameters, factor: float) -> VolumeParameters:
    """Unpacking that takes this many times as long; what the volume writes is its own."""
    if factor == 1.0:
        return volume
    return replace(volume, unpack_bytes_per_second=volume.unpack_bytes_per_second / factor)


def node_volume(parameters: ModelParameters, source: random.Random) -> VolumeParameters:
    """One node's own volume. ``source`` is this node's."""
    factor = _log_normal(source, parameters.spread.node_sigma)
    if factor == 1.0:
        return parameters.volume
    volume = _slower(parameters.volume, factor)
    return replace(volume, write_bytes_per_second=volume.write_bytes_per_second / factor)


def _decompressing(volume: VolumeParameters, missing: Missing) -> VolumeParameters:
    """The time that the compressed bytes take goes with the unpacking."""
    rate = volume.decompress_bytes_per_second
    if rate is None or not missing.unpacked_bytes:
        return volume
    share = missing.compressed_bytes / missing.unpacked_bytes
    return replace(volume, unpack_bytes_per_second=1 / (1 / volume.unpack_bytes_per_second + share / rate))


def finish(
    parameters: ModelParameters,
    missing: Missing,
    disk: Disk,
    chance: PullChance,
    resolved_at: float,
    downloaded_at: float,
    pauses: float,
) -> float:
    """When a pull ends whose layers are missing, and has left the disk as dirty as it does. The latencies of the
    requests lie beside the transfer, which ended at ``downloaded_at``; ``pauses`` is 1 or more."""
    return _end(_unpacking(parameters, missing, disk, chance, resolved_at, downloaded_at, pauses), disk)


def _unpacking(
    parameters: ModelParameters,
    missing: Missing,
    disk: Disk,
    chance: PullChance,
    resolved_at: float,
    downloaded_at: float,
    pauses: float,
) -> Unpacking:
    latency = parameters.registry.layer_latency_seconds * chance.requests
    begin_at = max(resolved_at + latency, disk.free_at)
    volume = _decompressing(_slower(disk.volume, chance.unpacking), missing)
    at_once, dirty = parameters.network.parallel_downloads, disk.dirty_at(begin_at)
    return Unpacking(missing, downloaded_at, latency, at_once, begin_at, volume, dirty, pauses)


def _end(unpacking: Unpacking, disk: Disk) -> float:
    missing, begin_at = unpacking.missing, unpacking.begin_at
    count = len(missing.layers)
    rounds = math.ceil(count / unpacking.parallel_downloads)
    last_at = max(unpacking.downloaded_at + rounds * unpacking.latency_seconds, begin_at)
    mean_bytes = missing.unpacked_bytes / count
    steady = unpack(unpacking.volume, missing.unpacked_bytes, unpacking.dirty_bytes, mean_bytes)
    unpacked = paused(unpacking.volume, steady, steady.seconds * (unpacking.pauses - 1))
    end = max(begin_at + unpacked.seconds, last_at + unpacked.seconds / count)
    disk.settle(end, unpacked.dirty_bytes)
    return end


def nominal_seconds(parameters: ModelParameters, image: Image, nodes: int = 1) -> float:
    """A cold pull on an idle node, while so many nodes in all pull the same, without any spread."""
    return nominal_seconds_of(parameters, Missing.of(image, frozenset()), nodes)


def nominal_seconds_of(parameters: ModelParameters, missing: Missing, nodes: int = 1) -> float:
    """The same of the layers that the nodes do not hold."""
    registry, network = parameters.registry, parameters.network
    if registry.streamed_seconds is not None:
        return registry.streamed_seconds
    if not missing.layers:
        return registry.resolve_seconds
    rate = min(registry.egress_bytes_per_second / nodes, network.bytes_per_second)
    downloaded_at = registry.resolve_seconds + missing.compressed_bytes / rate
    ordinary = PullChance(1.0, 1.0, 1.0)
    return finish(parameters, missing, Disk(parameters.volume), ordinary, registry.resolve_seconds, downloaded_at, 1.0)
