"""The phases of every pod, not only of the last: their seconds by cache state and cluster, and what is odd in them."""

from array import array
from collections import Counter, defaultdict

from pullstudy.analysis.timelines.phases import BRIDGES, PHASES, Phase, below_zero
from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline

QUEUED, PULLING = "queued at the kubelet", "pulling, by the kubelet"
_MEASURED: tuple[tuple[str, Phase], ...] = tuple((phase.name, phase) for phase in (*PHASES, *BRIDGES))
MEASURED = (*(name for name, _ in _MEASURED), QUEUED, PULLING)


class PhaseSeconds:
    """Gathered job by job: eight bytes a phase of a container."""

    def __init__(self) -> None:
        self.by_cache: dict[str, dict[tuple[str, str], array[float]]] = defaultdict(lambda: defaultdict(_none))
        self.odd: Counter[tuple[str, str]] = Counter()  # below zero: flag and phase, see phases

    def add(self, job: JobTimeline) -> None:
        for container in job.containers:
            self._add(job.cluster, container, self.by_cache[container.cache])

    def _add(
        self, cluster: str, container: ContainerTimeline, seconds_of: "dict[tuple[str, str], array[float]]"
    ) -> None:
        for name, phase in _MEASURED:
            seconds = phase.seconds(container.times)
            if seconds is not None:
                seconds_of[name, cluster].append(seconds)
                if seconds < 0:
                    self.odd[below_zero(seconds, phase.resolution_seconds(container.times)), name] += 1
        pull = container.pull
        if pull is not None and pull.waiting_seconds is not None:
            seconds_of[QUEUED, cluster].append(pull.waiting_seconds)
        if pull is not None and pull.pull_seconds is not None:
            seconds_of[PULLING, cluster].append(pull.pull_seconds)


def _none() -> "array[float]":
    return array("d")
