"""One container's pulls as one trace: pod created, scheduled, queued, pulled, container created, started.

A span is between two moments that records tell; where one of them is unknown, there is no span. Two moments that
contradict each other (clocks that differ, times in whole seconds) give none either: ``pullstudy.left_out`` names it.
An attempt that failed is an event: no message tells when it began.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain

import msgspec

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.timelines.pods import GatheredContainer, GatheredPod, gather_pods
from pullstudy.analysis.timelines.timeline import MomentTimes, Timestamp
from pullstudy.analysis.traces.span import Attributes, Span, SpanEvent, Trace, Value
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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINE_SECONDS = 1e-6  # a resolution that needs no mention
_ABSURD_SECONDS = 1e11  # 3,000 years
_LAST_NS = (1 << 63) - 1  # what readers hold a time in


class _Stretch(msgspec.Struct, frozen=True):
    """Two moments and what is said of the time between them."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    told_by: tuple[str | int, ...] = ()  # the event, where the name alone does not tell it from others

    @property
    def possible(self) -> bool:
        return 0 < self.start_ns <= self.end_ns <= _LAST_NS


def traces_of(group: JobRecords, *, simulated: bool) -> Iterator[Trace]:
    """Of each container that has a pull on record, in order of pod and container."""
    caches = {row.node: str(row.cache) for row in group.node_caches}
    for pod in sorted(gather_pods(group), key=lambda pod: (pod.name, pod.uid or "")):
        for name, container in sorted(pod.containers.items()):
            if container.pulls:
                cache = caches.get(pod.node or "")
                yield _trace(group, pod, name, container, {"pullstudy.cache": cache, "pullstudy.simulated": simulated})


def _trace(
    group: JobRecords, pod: GatheredPod, name: str, container: GatheredContainer, more: Mapping[str, Value | None]
) -> Trace:
    identity = trace_id(cluster=group.cluster, pod_uid=pod.uid, namespace=pod.namespace, pod=pod.name, container=name)
    stretches = list(_stretches({**pod.times, **container.times}, container.pulls))
    return Trace(
        trace_id=identity,
        cluster=group.cluster,
        node=pod.node,
        pod=pod.name,
        container=name,
        image=container.image,
        resource=_known({**_resource(group, pod, name, container.pulls[0]), **more}),
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


def _known(attributes: Mapping[str, Value | None]) -> Attributes:
    return {name: value for name, value in attributes.items() if value is not None}


def _spans(identity: str, stretches: list[_Stretch], pulls: Iterable[PullRecord]) -> Iterator[Span]:
    """The whole, from its first to its last known moment, and what it is made of."""
    possible = sorted((each for each in stretches if each.possible), key=lambda each: (each.start_ns, each.end_ns))
    events = tuple(_events(pulls))
    times = [*(each.start_ns for each in possible), *(each.end_ns for each in possible), *(e.at_ns for e in events)]
    if not times:
        return
    left_out = tuple(each.name for each in stretches if not each.possible)
    root = span_id(identity, CONTAINER_STARTUP)
    yield Span(
        name=CONTAINER_STARTUP,
        span_id=root,
        parent_id=None,
        start_ns=min(times),
        end_ns=max(times),
        attributes=_known({"pullstudy.left_out": left_out or None}),
        events=events,
        error=_failure(pulls),
    )
    for each in possible:
        own = span_id(identity, each.name, *each.told_by)
        yield Span(each.name, own, root, each.start_ns, each.end_ns, each.attributes)


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
            yield SpanEvent(EVENTS[pull.outcome], _ns(pull.finished_at), _known({**of_error, **_told_by(pull)}))


def _told_by(pull: PullRecord) -> dict[str, Value | None]:
    return {"pullstudy.event.uid": pull.event_uid, "pullstudy.event.count": pull.count}


def _stretches(times: MomentTimes, pulls: list[PullRecord]) -> Iterator[_Stretch]:
    """All that two known moments bound, possible or not."""
    yield from _between(SCHEDULE, times.get(Moment.POD_CREATED), times.get(Moment.SCHEDULED))
    scheduled = times.get(Moment.SCHEDULED)
    begun = times.get(Moment.PULLING) or (times.get(Moment.PULLED) if pulls[0].outcome is Outcome.CACHED else None)
    yield from _between(PREPARE_POD, scheduled, begun)
    yield from chain.from_iterable(map(_of_pull, pulls))
    yield from _between(CREATE_CONTAINER, times.get(Moment.PULLED), times.get(Moment.CREATED))
    yield from _between(START_CONTAINER, times.get(Moment.CREATED), times.get(Moment.STARTED))


def _between(name: str, start: Timestamp | None, end: Timestamp | None) -> Iterator[_Stretch]:
    if start is not None and end is not None:
        coarsest = max(start.resolution_seconds, end.resolution_seconds)
        attributes = _known(
            {
                "pullstudy.resolution_seconds": coarsest if coarsest > _FINE_SECONDS else None,
                "pullstudy.clocks": (start.clock, end.clock) if start.clock != end.clock else None,
            }
        )
        yield _Stretch(name, _ns(start.at), _ns(end.at), attributes)


def _of_pull(pull: PullRecord) -> Iterator[_Stretch]:
    """The wait in the kubelet's queue and the pull, counted back from its end as the kubelet's message has them."""
    if pull.outcome is not Outcome.PULLED or pull.finished_at is None or pull.pull_seconds is None:
        return
    end, event = _ns(pull.finished_at), (pull.event_uid, pull.count)
    begin = end - _nanoseconds(pull.pull_seconds)
    if pull.waiting_seconds is not None:
        yield _Stretch(QUEUE, begin - _nanoseconds(pull.waiting_seconds), begin, _known(_told_by(pull)), event)
    attributes = {"pullstudy.image.bytes": pull.image_bytes, **_told_by(pull)}
    yield _Stretch(PULL, begin, end, _known(attributes), event)


def _nanoseconds(seconds: float) -> int:
    """Of the absurd ones, which no pull has, as many as lead out of all time."""
    return round(max(-_ABSURD_SECONDS, min(seconds, _ABSURD_SECONDS)) * 1e9)


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
