"""What is kept of a job once its timeline was put together: enough for every figure, and a few bytes a pull.

A study of a million pulls is folded into these job by job; its records are never in memory together.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern

from pullstudy.analysis.timelines.critical_path import PathSegment, critical_path, paths_until
from pullstudy.analysis.timelines.job_overview import JobOverview, overview_of
from pullstudy.analysis.timelines.timeline import MOMENTS, JobTimeline, Timestamp
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.streamed import Streamed, StreamedPulls

_NONE_STREAMED = StreamedPulls((), {})
_NEARLY_EVERY = 0.95  # of a job's containers
# Where makespans may be cut, the last first. PULLING is none: cached images are never pulled.
CUTS = (Moment.JOB_COMPLETED, Moment.FINISHED, Moment.STARTED, Moment.PULLED)


@dataclass(frozen=True, slots=True)
class ImagePulls:
    """The pulls of one image in one job, in one cache state, streamed or not.

    ``downloads`` asked a registry for bytes; ``riders`` began while another pod of the job had its download of the same
    image under way on their node, and ended with it. Both in seconds, by the kubelet; ``nodes`` has the node of each
    download as its place in ``JobSummary.nodes``, -1 where it is unknown.
    """

    image: str
    cache: str
    streaming: Streamed  # a node that mounts an image from a stream says "pulled" before all bytes came
    downloads: "array[float]"
    nodes: "array[int]"
    riders: "array[float]"

    @property
    def streamed(self) -> bool:
        """Whether they were, or may have been."""
        return self.streaming is not Streamed.WHOLE


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job: one uid's pods, or, where uids are unknown, pods of one name that belong together in time.

    Seconds are since ``start``. ``reached`` has, of each moment that nearly every container has, when the last one came
    to it: makespans of several jobs are compared up to the last moment that all of them have, and ``paths`` are the
    critical paths up to each of CUTS that is among these.
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
    path: tuple[PathSegment, ...]  # to its end
    critical_pod: str | None
    critical_node: str | None
    pods: int
    placed_pods: int  # those whose node is known
    containers: int
    riders: int  # containers that waited for another one's download
    nodes: tuple[str, ...]  # that took part, sorted
    pulls: tuple[ImagePulls, ...]
    reached: Mapping[Moment, float] = field(default_factory=dict)
    paths: Mapping[Moment, tuple[PathSegment, ...]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, str, bool, float, str]:
        """By size and cluster, then as they began."""
        start = self.start
        return (self.size or 0, self.cluster, start is None, start.at.timestamp() if start else 0.0, self.job)

    @property
    def makespan_seconds(self) -> float | None:
        """None where a time is unknown, or where clocks disagree so far that the end is before the start."""
        seconds = self.end.seconds_since(self.start) if self.start and self.end else -1.0
        return seconds if seconds >= 0 else None

    @property
    def seconds_until(self) -> Mapping[Moment, float]:
        """From the start until each moment that nearly every container has, and until the end where it is known."""
        seconds = self.makespan_seconds if self.completed else None
        return self.reached if seconds is None else {**self.reached, Moment.JOB_COMPLETED: seconds}

    @property
    def workload(self) -> str | None:
        """What it ran: its image, or all that its containers have; None where not one is known."""
        return self.image or " + ".join(self.images) or None


def summary_of(job: JobTimeline, streamed: StreamedPulls = _NONE_STREAMED) -> JobSummary:
    """What is kept of it."""
    overview = overview_of(job)
    start, end, critical = job.start, job.end, overview.critical
    reached = _reached(job)
    paths = paths_until(job, [moment for moment in CUTS if moment in reached])
    # Each row that is read has a text of its own: of many jobs they would be most of what is kept.
    nodes = tuple(sorted({intern(container.node) for container in job.containers if container.node is not None}))
    return JobSummary(
        cluster=job.cluster,
        run=job.run,
        size=job.size,
        namespace=job.namespace,
        job=job.job,
        number=job.number,
        image=intern(job.image) if job.image is not None else None,
        images=tuple(map(intern, job.images)),
        repeat=job.repeat,
        cache=job.cache,
        failed=job.failed,
        completed=Moment.JOB_COMPLETED in job.times,
        start=start[1] if start else None,
        start_moment=start[0] if start else None,
        end=end[1] if end else None,
        end_moment=end[0] if end else None,
        deleted=job.deleted,
        path=paths.get(Moment.JOB_COMPLETED) or critical_path(job),
        critical_pod=critical.pod if critical else None,
        critical_node=critical.node if critical else None,
        pods=overview.pods,
        placed_pods=sum(count for node, count in overview.on_node.items() if node),
        containers=len(job.containers),
        riders=len(overview.shared_pulls),
        nodes=nodes,
        pulls=tuple(_pulls_of(job, overview, nodes, streamed)),
        reached=reached,
        paths=paths,
    )


def _pulls_of(
    job: JobTimeline, overview: JobOverview, nodes: tuple[str, ...], streamed: StreamedPulls
) -> list[ImagePulls]:
    places = {node: place for place, node in enumerate(nodes)}
    found: dict[tuple[str, str, Streamed], ImagePulls] = {}
    for container in job.containers:
        shared = overview.shares_pull(container)
        for pull in filter(_has_duration, container.pulls):
            key = (intern(pull.image or ""), container.cache, streamed.of(pull))
            group = found.setdefault(key, ImagePulls(*key, array("d"), array("l"), array("d")))
            if shared and pull is container.pull:
                group.riders.append(pull.pull_seconds or 0.0)
            else:
                group.downloads.append(pull.pull_seconds or 0.0)
                group.nodes.append(places.get(container.node or "", -1))
    return list(found.values())


def _has_duration(pull: PullRecord) -> bool:
    return pull.outcome is Outcome.PULLED and pull.pull_seconds is not None and pull.image is not None


def _reached(job: JobTimeline) -> dict[Moment, float]:
    start = job.start
    if start is None:
        return {}
    least = _NEARLY_EVERY * max(1, len(job.containers))
    reached = {}
    for moment in MOMENTS:
        ats = [container.times[moment].at for container in job.containers if moment in container.times]
        if len(ats) >= least:
            reached[moment] = (max(ats) - start[1].at).total_seconds()
    return reached
