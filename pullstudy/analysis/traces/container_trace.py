"""One container's pulls as one trace: pod created, scheduled, queued, pulled, container created, started.

A span is between two moments that records tell; where one of them is unknown, there is no span. Two moments that
contradict each other (clocks that differ, times in whole seconds) give none either: ``pullstudy.left_out`` names it.
An attempt that failed is an event: no message tells when it began. Where a runtime told of the inside of a pull, a span
of the attempt is there, and its layers below it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.reading.pull_insides import PullInside
from pullstudy.analysis.timelines.pods import GatheredContainer, GatheredPod, gather_pods
from pullstudy.analysis.timelines.timeline import MomentTimes, Timestamp
from pullstudy.analysis.traces.inside_spans import inside_spans, links_to_runtime
from pullstudy.analysis.traces.span import Attributes, Span, SpanEvent, Trace, Value, known
from pullstudy.analysis.traces.unix_time import LAST, nanoseconds, since_1970
from pullstudy.pulls.failure import classify
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.trace_identity import span_id, trace_id

CONTAINER_STARTUP = "container startup"
SCHEDULE = "schedule"
PREPARE_POD = "prepare pod"
QUEUE = "queue"
PULL = "pull"
CREATE_CONTAINER = "create container"
START_CONTAINER = "start container"
EVENTS = {
    Outcome.CACHED: "image present",
    Outcome.FAILED: "pull failed",
    Outcome.BACKOFF: "pull backed off",
}
_FINE_SECONDS = 1e-6  # a resolution that needs no mention


class _Stretch(msgspec.Struct, frozen=True):
    """Two moments and what is said of the time between them."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    told_by: tuple[str | int, ...] = ()  # the event, where the name alone does not tell it from others
    inside: PullInside | None = None
    error: str | None = None

    @property
    def possible(self) -> bool:
        return 0 < self.start_ns <= self.end_ns <= LAST


InsideOf = Callable[[PullRecord], PullInside | None]


def traces_of(group: JobRecords, inside_of: InsideOf, *, simulated: bool) -> Iterator[Trace]:
    """Of each container that has a pull on record, in order of pod and container."""
    caches = {row.node: str(row.cache) for row in group.node_caches}
    for pod in sorted(gather_pods(group), key=lambda pod: (pod.name, pod.uid or "")):
        for name, container in sorted(pod.containers.items()):
            if container.pulls:
                cache = caches.get(pod.node or "")
                more = {"pullstudy.cache": cache, "pullstudy.simulated": simulated}
                yield _trace(group, pod, name, container, inside_of, more)


def _trace(
    group: JobRecords,
    pod: GatheredPod,
    name: str,
    container: GatheredContainer,
    inside_of: InsideOf,
    more: Mapping[str, Value | None],
) -> Trace:
    identity = trace_id(cluster=group.cluster, pod_uid=pod.uid, namespace=pod.namespace, pod=pod.name, container=name)
    stretches = list(_stretches({**pod.times, **container.times}, container.pulls, inside_of))
    return Trace(
        trace_id=identity,
        cluster=group.cluster,
        node=pod.node,
        pod=pod.name,
        container=name,
        image=container.image,
        resource=known({**_resource(group, pod, name, container.pulls[0]), **more}),
        spans=tuple(_spans(identity, stretches, container.pulls)),
    )


def _resource(group: JobRecords, pod: GatheredPod, container: str, pull: PullRecord) -> dict[str, Value | None]:
    """By OpenTelemetry's semantic conventions; what these have no name for, by names of our own (docs/trace.md)."""
    return {
        "service.name": "pullstudy",
        "k8s.cluster.name": group.cluster,
        "k8s.namespace.name": pod.namespace,
        "k8s.node.name": pod.node,
        "k8s.job.name": pull.job,
        "k8s.job.uid": pod.job_uid,
        "k8s.pod.name": pod.name,
        "k8s.pod.uid": pod.uid,
        "k8s.container.name": container,
        "container.image.name": pull.repository,
        "container.image.tags": (pull.tag,) if pull.tag else None,
        "container.image.repo_digests": (f"{pull.repository}@{pull.digest}",) if pull.digest else None,
        "oci.manifest.digest": pull.digest,
        "pullstudy.run": pull.run,
        "pullstudy.cluster.size": pull.size,
    }


def _spans(identity: str, stretches: list[_Stretch], pulls: Iterable[PullRecord]) -> Iterator[Span]:
    """The whole, from its first to its last known moment, and what it is made of."""
    possible = sorted((each for each in stretches if each.possible), key=lambda each: (each.start_ns, each.end_ns))
    root = span_id(identity, CONTAINER_STARTUP)
    parts = [span for each in possible for span in _parts(identity, root, each)]
    events = tuple(_events(pulls))
    starts = [*(span.start_ns for span in parts), *(event.at_ns for event in events)]
    ends = [*(span.end_ns for span in parts), *(event.at_ns for event in events)]
    if not starts:
        return
    left_out = tuple(each.name for each in stretches if not each.possible)
    yield Span(
        name=CONTAINER_STARTUP,
        span_id=root,
        parent_id=None,
        start_ns=min(starts),
        end_ns=max(ends),
        attributes=known({"pullstudy.left_out": left_out or None}),
        events=events,
        error=_failure(pulls),
    )
    yield from parts


def _parts(identity: str, root: str, each: _Stretch) -> Iterator[Span]:
    """Its span, and of a pull whose inside a runtime told those below it."""
    own = span_id(identity, each.name, *each.told_by)
    links = links_to_runtime(each.inside) if each.inside is not None else ()
    yield Span(each.name, own, root, each.start_ns, each.end_ns, each.attributes, (), each.error, links)
    if each.inside is not None:
        yield from inside_spans(identity, own, each.inside)


def _failure(pulls: Iterable[PullRecord]) -> str | None:
    """The last failure's text, where nothing made the image present."""
    pulls = list(pulls)
    if any(pull.outcome in (Outcome.PULLED, Outcome.CACHED) for pull in pulls):
        return None
    return next((pull.error for pull in reversed(pulls) if pull.outcome is Outcome.FAILED and pull.error), None)


def _events(pulls: Iterable[PullRecord]) -> Iterator[SpanEvent]:
    for pull in pulls:
        if pull.outcome in EVENTS and pull.finished_at is not None:
            failed = pull.outcome is Outcome.FAILED
            of_error = {"error.type": str(classify(pull.error)) if failed else None, "error.message": pull.error}
            yield SpanEvent(EVENTS[pull.outcome], since_1970(pull.finished_at), known({**of_error, **_told_by(pull)}))


def _told_by(pull: PullRecord) -> dict[str, Value | None]:
    return {"pullstudy.event.uid": pull.event_uid, "pullstudy.event.count": pull.count}


def _stretches(times: MomentTimes, pulls: list[PullRecord], inside_of: InsideOf) -> Iterator[_Stretch]:
    """All that two known moments bound, possible or not."""
    yield from _between(SCHEDULE, times.get(Moment.POD_CREATED), times.get(Moment.SCHEDULED))
    scheduled = times.get(Moment.SCHEDULED)
    begun = times.get(Moment.PULLING) or (times.get(Moment.PULLED) if pulls[0].outcome is Outcome.CACHED else None)
    yield from _between(PREPARE_POD, scheduled, begun)
    for pull in pulls:
        yield from _of_pull(pull, inside_of(pull))
    yield from _between(CREATE_CONTAINER, times.get(Moment.PULLED), times.get(Moment.CREATED))
    yield from _between(START_CONTAINER, times.get(Moment.CREATED), times.get(Moment.STARTED))


def _between(name: str, start: Timestamp | None, end: Timestamp | None) -> Iterator[_Stretch]:
    if start is not None and end is not None:
        coarsest = max(start.resolution_seconds, end.resolution_seconds)
        attributes = known(
            {
                "pullstudy.resolution_seconds": coarsest if coarsest > _FINE_SECONDS else None,
                "pullstudy.clocks": (start.clock, end.clock) if start.clock != end.clock else None,
            }
        )
        yield _Stretch(name, since_1970(start.at), since_1970(end.at), attributes)


def _of_pull(pull: PullRecord, inside: PullInside | None) -> Iterator[_Stretch]:
    """The wait in the kubelet's queue and the pull, counted back from its end as the kubelet's message has them.

    When an attempt began that failed, the runtime alone tells.
    """
    event = (pull.event_uid, pull.count)
    digest = inside.stages.digest if inside is not None else None
    attributes = known({"oci.manifest.digest": digest, "pullstudy.image.bytes": pull.image_bytes, **_told_by(pull)})
    if pull.outcome is Outcome.FAILED and inside is not None:
        start, end = since_1970(inside.stages.started_at), since_1970(inside.stages.finished_at)
        yield _Stretch(PULL, start, end, attributes, event, inside, pull.error)
    if pull.outcome is not Outcome.PULLED or pull.finished_at is None or pull.pull_seconds is None:
        return
    end = since_1970(pull.finished_at)
    begin = end - nanoseconds(pull.pull_seconds)
    if pull.waiting_seconds is not None:
        yield _Stretch(QUEUE, begin - nanoseconds(pull.waiting_seconds), begin, known(_told_by(pull)), event)
    yield _Stretch(PULL, begin, end, attributes, event, inside)
