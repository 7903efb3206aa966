"""What is kept of a job once its timeline was put together: enough for every figure, and a few bytes a pull.

A study of a million pulls is folded into these job by job; its records are never in memory together.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from pullstudy.analysis.timelines.critical_path import PathSegment
from pullstudy.analysis.timelines.timeline import Timestamp
from pullstudy.pulls.milestone import Moment


@dataclass(frozen=True, slots=True)
class ImagePulls:
    """The pulls of one image in one job, in one cache state.

    ``downloads`` asked a registry for bytes; ``riders`` began while another pod of the job had its download of the same
    image under way on their node, and ended with it. Both in seconds, by the kubelet; ``nodes`` has the node of each
    download as its place in ``JobSummary.nodes``.
    """

    image: str
    cache: str
    streamed: bool  # its node mounted it from a stream: "pulled" does not say that all bytes came
    downloads: array[float]
    nodes: array[int]
    riders: array[float]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job: one uid's pods, or, where uids are unknown, pods of one name that belong together in time.

    Seconds are since ``start``. ``reached`` has, of each moment that nearly every container has, when the last one came
    to it: makespans of several jobs are compared up to the last moment that all of them have.
    """

    cluster: str
    run: str | None
    size: int | None
    namespace: str | None
    job: str
    number: int  # among the jobs of that name on that cluster, in order of time, from 1
    image: str | None  # None where its containers have several
    images: tuple[str, ...]
    repeat: int | None
    cache: str
    failed: bool
    completed: bool  # its end is known, and not only the last moment seen of a pod
    start: Timestamp | None
    start_moment: Moment | None
    end: Timestamp | None
    end_moment: Moment | None
    deleted: Timestamp | None
    path: tuple[PathSegment, ...]
    critical_pod: str | None
    critical_node: str | None
    pods: int
    containers: int
    nodes: tuple[str, ...]  # that took part, sorted
    pulls: tuple[ImagePulls, ...]
    reached: Mapping[Moment, float] = field(default_factory=dict)

    @property
    def makespan_seconds(self) -> float | None:
        return self.end.seconds_since(self.start) if self.start and self.end else None
