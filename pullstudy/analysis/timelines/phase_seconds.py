"""The phases of every pod, not only of the last: their seconds by cache state and cluster, and what is odd in them."""

from array import array
from collections import Counter, defaultdict

from pullstudy.analysis.timelines.phases import BRIDGES, PHASES, below_zero
from pullstudy.analysis.timelines.timeline import MOMENTS, ContainerTimeline, JobTimeline

QUEUED, PULLING = "queued at the kubelet", "pulling, by the kubelet"
_PHASES = (*PHASES, *BRIDGES)
_ENDS = tuple((MOMENTS.index(phase.begin), MOMENTS.index(phase.end)) for phase in _PHASES)
MEASURED = (*(phase.name for phase in _PHASES), QUEUED, PULLING)


class PhaseSeconds:
    """Gathered job by job: eight bytes a phase of a container."""

    def __init__(self) -> None:
        self._of_cache: dict[tuple[str, str], _Values] = defaultdict(_Values)  # by cache state and cluster
        self.odd: Counter[tuple[str, str]] = Counter()  # below zero: flag and phase, see phases

    def add(self, job: JobTimeline) -> None:
        for container in job.containers:
            self._add(container, self._of_cache[container.cache, job.cluster])

    @property
    def by_cache(self) -> "dict[str, dict[tuple[str, str], array[float]]]":
        """Seconds by cache state, then by phase and cluster; of those that have any."""
        found: dict[str, dict[tuple[str, str], array[float]]] = defaultdict(dict)
        for (cache, cluster), values in self._of_cache.items():
            told = zip(MEASURED, (*values.phases, values.queued, values.pulling), strict=True)
            found[cache].update({(name, cluster): seconds for name, seconds in told if seconds})
        return found

    def _add(self, container: ContainerTimeline, values: "_Values") -> None:
        times = [*map(container.times.get, MOMENTS)]
        for (begin, end), phase, kept in zip(_ENDS, _PHASES, values.phases, strict=True):  # ten times of every pull
            first, last = times[begin], times[end]
            if first is not None and last is not None:
                seconds = (last.at - first.at).total_seconds()
                kept.append(seconds)
                if seconds < 0:
                    self.odd[below_zero(seconds, phase.resolution_seconds(container.times)), phase.name] += 1
        pull = container.pull
        if pull is not None and pull.waiting_seconds is not None:
            values.queued.append(pull.waiting_seconds)
        if pull is not None and pull.pull_seconds is not None:
            values.pulling.append(pull.pull_seconds)


class _Values:
    """Seconds of one cache state on one cluster."""

    def __init__(self) -> None:
        self.phases = tuple(array("d") for _ in _PHASES)
        self.queued, self.pulling = array("d"), array("d")
