"""All pulls of a study, of jobs and of all other pods: durations, outcomes and failures by what they have in common.

Kept of a pull are eight bytes in each of a few groups; which registry, zone or instance type it was of follows from its
image and its node.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil
from typing import TypeVar

from pullstudy.analysis.reading.ledger import NodePlace
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.pulls.failure import FailureClass, classify
from pullstudy.pulls.image import parse_image, registry_of
from pullstudy.pulls.pod_owner import pod_owner
from pullstudy.pulls.record import Outcome, PullRecord

Name = tuple[str, ...]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
# Stretches of time that people think in; seconds.
STRETCHES = (1, 10, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
MOST_STRETCHES = 240


class Grouping(StrEnum):
    """What pulls of one group have in common."""

    REGISTRY = "registry"
    REPOSITORY = "repository"
    IMAGE = "image"
    NODE = "node"
    ZONE = "zone"
    INSTANCE_TYPE = "instance type"
    NAMESPACE = "namespace"
    OWNER = "owner"


@dataclass(slots=True)
class PullTotals:
    """Pulls that have something in common. Events that were repeated count as often as their count."""

    seconds: "array[float]" = field(default_factory=lambda: array("d"))  # of those that pulled, where known
    pulled: int = 0
    cached: int = 0
    failed: int = 0  # attempts
    backed_off: int = 0
    failures: "Counter[FailureClass] | None" = None  # attempts, where there were any: most groups have none
    rated_bytes: int = 0  # as the kubelet counts an image, of pulls of which bytes and seconds are known
    rated_seconds: float = 0.0
    rated_pulls: int = 0

    @property
    def attempts(self) -> int:
        """That asked a registry."""
        return self.pulled + self.failed

    @property
    def bytes_per_second(self) -> float | None:
        """All their bytes over all their seconds."""
        return self.rated_bytes / self.rated_seconds if self.rated_bytes and self.rated_seconds > 0 else None

    @property
    def commonest_failure(self) -> FailureClass | None:
        return self.failures.most_common(1)[0][0] if self.failures else None

    def add_pulled(self, seconds: float | None, image_bytes: int | None) -> None:
        self.pulled += 1
        if seconds is not None:
            self.seconds.append(seconds)
            if image_bytes and seconds > 0:
                self.rated_bytes += image_bytes
                self.rated_seconds += seconds
                self.rated_pulls += 1

    def add_failures(self, outcome: Outcome, kind: FailureClass, count: int) -> None:
        if outcome is Outcome.FAILED:
            self.failed += count
            self.failures = self.failures or Counter()
            self.failures[kind] += count
        else:
            self.backed_off += count

    def merge(self, other: "PullTotals") -> None:
        self.seconds.extend(other.seconds)
        self.pulled += other.pulled
        self.cached += other.cached
        self.failed += other.failed
        self.backed_off += other.backed_off
        if other.failures:
            self.failures = (self.failures or Counter()) + other.failures
        self.rated_bytes += other.rated_bytes
        self.rated_seconds += other.rated_seconds
        self.rated_pulls += other.rated_pulls


@dataclass
class PullCounts:
    """What pulls there are."""

    pulled: int = 0
    timed: int = 0  # of these, with a duration
    undivided: int = 0  # of these, by a message with one duration: it includes the waiting in the kubelet's queue
    images: set[str] = field(default_factory=set)  # pulled
    nodes: set[str] = field(default_factory=set)
    sizes: set[int] = field(default_factory=set)  # of their clusters
    first_at: datetime | None = None
    last_at: datetime | None = None

    def add(self, pull: PullRecord) -> None:
        if pull.outcome is Outcome.PULLED:
            self.pulled += 1
            self.timed += pull.pull_seconds is not None
            self.undivided += pull.pull_seconds is not None and pull.waiting_seconds is None
            self.images.add(pull.image or "")
        if pull.node:
            self.nodes.add(pull.node)
        if pull.size:
            self.sizes.add(pull.size)
        at = pull.finished_at
        if at is not None:
            self.first_at = at if self.first_at is None or at < self.first_at else self.first_at
            self.last_at = at if self.last_at is None or at > self.last_at else self.last_at


def image_of(pull: PullRecord) -> Name | None:
    """Its name; None where it is unknown."""
    return (pull.image,) if pull.image is not None else None


def _node(pull: PullRecord) -> Name | None:
    return (pull.cluster, pull.node) if pull.node is not None else None


def _namespace(pull: PullRecord) -> Name | None:
    return (pull.namespace,) if pull.namespace is not None else None


def owner_of(pull: PullRecord) -> Name | None:
    """Namespace, kind and name of what people deployed the pod by; the kind is empty where its name cannot tell it."""
    if pull.pod is None:
        return None
    owner = pod_owner(pull.pod, node=pull.node, job=pull.job)
    return (pull.namespace or "", owner.kind or "", owner.name)


_GATHERED: Mapping[Grouping, Callable[[PullRecord], Name | None]] = {
    Grouping.IMAGE: image_of,
    Grouping.NODE: _node,
    Grouping.NAMESPACE: _namespace,
    Grouping.OWNER: owner_of,
}


class PullGroups:
    """Gathered pull by pull. ``span``: between which times the pulls are, so that stretches of it can be told apart."""

    def __init__(self, span: tuple[datetime, datetime] | None = None) -> None:
        self.all = PullTotals()
        self.stretch_seconds = _stretch(span)
        self._groups: dict[Grouping, dict[Name, PullTotals]] = {grouping: {} for grouping in _GATHERED}
        self._by_time: dict[int, PullTotals] = {}  # by the second in which the stretch begins
        self._images: dict[str, int] = {}  # numbered
        self._images_of_node: dict[Name, array[int]] = {}  # of each of its durations

    def add(self, pull: PullRecord) -> None:
        """A pull that was made or needed none; failures are told by add_failures."""
        if pull.outcome is Outcome.PULLED:
            self._add_pulled(pull, pull.pull_seconds)
        elif pull.outcome is Outcome.CACHED:
            for group in self._groups_of(pull):
                group.cached += 1

    def _add_pulled(self, pull: PullRecord, seconds: float | None) -> None:
        for group in self._groups_of(pull):
            group.add_pulled(seconds, pull.image_bytes)
        if seconds is not None and pull.node is not None:
            number = self._images.setdefault(pull.image or "", len(self._images))
            self._images_of_node.setdefault((pull.cluster, pull.node), array("I")).append(number)

    def add_failures(self, pull: PullRecord) -> None:
        """One that failed or backed off, ``count`` times."""
        kind = classify(pull.error)
        for group in self._groups_of(pull):
            group.add_failures(pull.outcome, kind, pull.count)

    def by(self, grouping: Grouping, nodes: Iterable[NodePlace] = ()) -> Mapping[Name, PullTotals]:
        """Groups by what they have in common; nodes by cluster and name. Zones and instance types need the nodes."""
        if grouping in self._groups:
            return self._groups[grouping]
        if grouping in _OF_IMAGES:
            return _merged((_OF_IMAGES[grouping](*name), group) for name, group in self._groups[Grouping.IMAGE].items())
        return _merged(self._named_by_node(grouping, nodes, self._groups[Grouping.NODE]))

    def slowness(self, grouping: Grouping, nodes: Iterable[NodePlace] = ()) -> Mapping[Name, float]:
        """Of a node, zone or instance type: the median of how many times as long as its image's median a pull took."""
        ratios = self._ratios_of_nodes()
        if grouping is not Grouping.NODE:
            joined: dict[Name, array[float]] = {}
            for name, some in self._named_by_node(grouping, nodes, ratios):
                joined.setdefault(name, array("d")).extend(some)
            ratios = joined
        return {name: median(some) for name, some in ratios.items() if some}

    def over_time(self) -> list[tuple[datetime, PullTotals]]:
        """By the beginning of each stretch of ``stretch_seconds`` in which a pull ended or failed."""
        return [(datetime.fromtimestamp(second, UTC), group) for second, group in sorted(self._by_time.items())]

    def _ratios_of_nodes(self) -> "dict[Name, array[float]]":
        images = self._groups[Grouping.IMAGE]
        medians = {number: median(images[image,].seconds) for image, number in self._images.items() if image}
        ratios: dict[Name, array[float]] = {}
        for node, numbers in self._images_of_node.items():
            timed = zip(self._groups[Grouping.NODE][node].seconds, numbers, strict=True)
            ratios[node] = array("d", (seconds / medians[n] for seconds, n in timed if medians.get(n, 0.0) > 0))
        return ratios

    def _named_by_node(
        self, grouping: Grouping, nodes: Iterable[NodePlace], of_nodes: Mapping[Name, T]
    ) -> Iterator[tuple[Name, T]]:
        for place in nodes:
            value = place.zone if grouping is Grouping.ZONE else place.instance_type
            found = of_nodes.get((place.cluster, place.node))
            if value is not None and found is not None:
                yield (value,), found

    def _groups_of(self, pull: PullRecord) -> list[PullTotals]:
        found = [self.all]
        for grouping, name_of in _GATHERED.items():
            name = name_of(pull)
            if name is not None:
                found.append(_group(self._groups[grouping], name))
        if pull.finished_at is not None:
            second = int(pull.finished_at.timestamp())
            found.append(_group(self._by_time, second - second % self.stretch_seconds))
        return found


def _group(groups: dict[K, PullTotals], name: K) -> PullTotals:
    found = groups.get(name)
    if found is None:
        found = groups[name] = PullTotals()
    return found


def _merged(named: Iterable[tuple[Name, PullTotals]]) -> dict[Name, PullTotals]:
    found: dict[Name, PullTotals] = {}
    for name, group in named:
        _group(found, name).merge(group)
    return found


def _repository(image: str) -> Name:
    return (parse_image(image).repository,)


def _registry(image: str) -> Name:
    return (registry_of(parse_image(image).repository),)


_OF_IMAGES: Mapping[Grouping, Callable[[str], Name]] = {
    Grouping.REGISTRY: _registry,
    Grouping.REPOSITORY: _repository,
}


def _stretch(span: tuple[datetime, datetime] | None) -> int:
    """Seconds: the shortest of STRETCHES of which MOST_STRETCHES make the span, or so many of the longest."""
    seconds = (span[1] - span[0]).total_seconds() if span else 0.0
    fitting = next((each for each in STRETCHES if seconds <= each * MOST_STRETCHES), None)
    return fitting or STRETCHES[-1] * ceil(seconds / (STRETCHES[-1] * MOST_STRETCHES))
