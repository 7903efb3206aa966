"""How long pulls took, as Prometheus' histograms, and how many had another outcome, in a bounded number of series.

A series for each image and node would be one for each pull: the registry and a class of size tell what a shop asks for
first. Image and node are labels only where somebody asks for them, and then what comes late is counted together too.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from collector.monitoring.histogram import Exemplar, NativeHistogram
from collector.monitoring.vitals import Reading
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.image import registry_of
from pullstudy.pulls.metric_names import PullLabel
from pullstudy.pulls.record import Outcome, PullRecord

OTHER = "other"
UNKNOWN = "unknown"
# Each is a series of every histogram; a native histogram tells more.
BOUNDS_SECONDS = (1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0)
SIZE_CLASSES = ((100_000_000, "under 100 MB"), (1_000_000_000, "under 1 GB"), (10_000_000_000, "under 10 GB"))
LARGEST = "10 GB or more"
MOST_REGISTRIES = 20
# Of registries with a class of size; then "other" with its class, of which there are five: 21 histograms of ten series,
# and 84 counters of 21 registries' outcomes, are under 300 series, whatever is pulled.
MOST_PAIRS = 16
MOST_ASKED_FOR = 2_000  # histograms where image or node is a label
LONGEST_LABEL = 128
_LONGEST_EXEMPLAR = 128 - len("event_uid")  # OpenMetrics: characters of all its labels, names included


class PullDurations:
    """Counters, from zero at the start of the process."""

    def __init__(self, cluster: str, asked_for: Sequence[PullLabel] = ()) -> None:
        self._cluster = cluster
        self._asked_for = tuple(dict.fromkeys(asked_for))
        self._most = MOST_ASKED_FOR if asked_for else MOST_PAIRS
        self._metric = replace(names.PULL_SECONDS, labels=(*names.PULL_SECONDS.labels, *self._asked_for))
        self._registries: set[str] = set()
        self._histograms: dict[tuple[str, ...], NativeHistogram] = {}
        self._kept = 0  # of them, those that are not of OTHER
        self._outcomes: Counter[tuple[str, ...]] = Counter()

    def count(self, pull: PullRecord) -> None:
        """A pull that is news."""
        registry = self._registry(pull.repository)
        if pull.outcome is not Outcome.PULLED or pull.pull_seconds is None:
            self._outcomes[self._cluster, registry, pull.outcome] += 1
            return
        size = size_class(pull.image_bytes)
        more = ((getattr(pull, label) or UNKNOWN)[:LONGEST_LABEL] for label in self._asked_for)
        self._histogram((self._cluster, registry, size, *more)).observe(pull.pull_seconds, _exemplar(pull))

    def _registry(self, repository: str | None) -> str:
        if repository is None:
            return UNKNOWN
        registry = registry_of(repository)[:LONGEST_LABEL]
        if registry not in self._registries:
            if len(self._registries) >= MOST_REGISTRIES - 1:  # beside the unknown one
                return OTHER
            self._registries.add(registry)
        return registry

    def _histogram(self, labels: tuple[str, ...]) -> NativeHistogram:
        found = self._histograms.get(labels)
        if found is not None:
            return found
        if labels[1] != OTHER:
            if self._kept >= self._most:
                cluster, _, size, *more = labels
                return self._histogram((cluster, OTHER, size, *(OTHER for _ in more)))
            self._kept += 1
        elif self._asked_for:
            labels = (*labels[:3], *(OTHER for _ in self._asked_for))
        return self._histograms.setdefault(labels, NativeHistogram(BOUNDS_SECONDS))

    def readings(self) -> Iterator[Reading]:
        yield Reading(self._metric, self._histograms.copy())
        yield Reading(names.PULL_OUTCOMES, {labels: float(count) for labels, count in self._outcomes.items()})


def size_class(image_bytes: int | None) -> str:
    """Of an image by the bytes that the kubelet tells: compressed, since Kubernetes 1.30."""
    if image_bytes is None:
        return UNKNOWN
    return next((name for bound, name in SIZE_CLASSES if image_bytes < bound), LARGEST)


def _exemplar(pull: PullRecord) -> Exemplar | None:
    if pull.finished_at is None or pull.pull_seconds is None or len(pull.event_uid) > _LONGEST_EXEMPLAR:
        return None
    return Exemplar((("event_uid", pull.event_uid),), pull.pull_seconds, pull.finished_at)
