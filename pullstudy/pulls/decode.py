"""Event to record: a pure function of one event, so that the same event gives the same record everywhere."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from pullstudy.pulls import message
from pullstudy.pulls.event import Event, ObjectReference
from pullstudy.pulls.image import parse_image
from pullstudy.pulls.kind import Record
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.pod_owner import Belonging, OwnerReference, belonging
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.streaming import Streaming


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose events they are: an event does not say it."""

    cluster: str
    run: str | None = None
    size: int | None = None  # nodes


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one event tells. ``kind``: pull, lifecycle, echo (repeats a pull's failure), notice, other or unknown.

    ``unknown`` is one line that says what could not be read; there can be a record beside it.
    """

    kind: str
    pulls: tuple[PullRecord, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    unknown: str | None = None
    others: tuple[Record, ...] = ()  # of other kinds


OTHER = Decoded("other")
ECHO = Decoded("echo")
NOTICE = Decoded("notice")

_NAME_CLOCK = re.compile(r"[0-9a-f]{14,16}")
_MICROSECOND = 1e-6


def decode_event(event: Event, origin: Origin) -> Decoded:
    """Everything the event tells about pulls and their phases."""
    reader = _READERS.get(event.reason or "")
    subject = event.object
    if reader is None or subject is None or event.metadata is None or not event.metadata.uid:
        return OTHER
    return reader(event, subject, origin)


class _When(msgspec.Struct, frozen=True, gc=False):
    at: datetime
    resolution_seconds: float
    witness: Witness


def event_time(event: Event) -> _When | None:
    """When the event was last seen, as finely as it tells.

    client-go's recorder names an event ``<object>.<hex of UnixNano>`` of the moment it stamps as firstTimestamp,
    which itself is cut to the second. The name is believed only where the two agree and nothing came later.
    """
    first_text = event.first_timestamp or event.deprecated_first_timestamp
    if event.series is None:
        last_text = event.last_timestamp or event.deprecated_last_timestamp
        if last_text is None or event.times_seen == 1:
            named = _named_time(event, message.read_second(first_text))
            if named is not None:
                return named
        last = message.read_time(last_text) or message.read_time(first_text)
        if last is not None:
            return _When(last, 1.0, Witness.EVENT)
    observed = message.read_time(event.series.last_observed_time if event.series else None)
    precise = observed or message.read_time(event.event_time)
    if precise is not None:
        return _When(precise, _MICROSECOND, Witness.EVENT)
    created = message.read_time(event.metadata.creation_timestamp if event.metadata else None)
    return _When(created, 1.0, Witness.EVENT) if created else None


def _named_time(event: Event, first: tuple[int, datetime] | None) -> _When | None:
    if first is None:
        return None
    suffix = event.metadata.name.rpartition(".")[2] if event.metadata else ""
    if not _NAME_CLOCK.fullmatch(suffix):
        return None
    seconds, nanoseconds = divmod(int(suffix, 16), 1_000_000_000)
    second, began_at = first
    if seconds != second:
        return None
    # A sum costs a third of what ``replace`` does, and every event is timed.
    return _When(began_at + timedelta(0, 0, nanoseconds // 1000), _MICROSECOND, Witness.EVENT_NAME)


def _belonging(subject: ObjectReference) -> Belonging:
    if subject.kind == "Job":
        return Belonging(subject.name, subject.uid)
    return belonging(subject.name, subject.labels, subject.owner_references)


def _record(
    event: Event,
    subject: ObjectReference,
    origin: Origin,
    outcome: Outcome,
    image: str | None,
    *,
    when: _When | None,
    belongs: Belonging,
    error: str | None = None,
    text: message.PulledText | None = None,
) -> PullRecord:
    finished_at = when.at if when else None
    pull = text.pull_nanoseconds if text else None
    total = text.including_waiting_nanoseconds if text else None
    reference = parse_image(image) if image else None
    whole = total if total is not None else pull
    started_at = _before(finished_at, whole) if finished_at and whole is not None else None
    assert event.metadata is not None  # decode_event looked
    return PullRecord(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=event.host,
        namespace=subject.namespace,
        job=belongs.job,
        pod=subject.name,
        pod_uid=subject.uid,
        container=message.read_container(subject.field_path),
        image=image,
        repository=reference.repository if reference else None,
        tag=reference.tag if reference else None,
        digest=reference.digest if reference else None,
        outcome=outcome,
        started_at=started_at,
        finished_at=finished_at,
        pull_seconds=pull / 1e9 if pull is not None else None,
        waiting_seconds=(total - pull) / 1e9 if total is not None and pull is not None else None,
        image_bytes=text.image_bytes if text else None,
        error=error,
        count=event.times_seen,
        event_uid=event.metadata.uid,
    )


def _before(at: datetime, nanoseconds: int) -> datetime | None:
    try:
        return at - timedelta(0, 0, round(nanoseconds / 1000))
    except OverflowError:  # before the year 1
        return None


def _milestone(
    event: Event,
    subject: ObjectReference,
    origin: Origin,
    moment: Moment,
    *,
    when: _When | None,
    belongs: Belonging,
    node: str | None,
    clock: str,
    pod: str | None = None,
) -> tuple[Milestone, ...]:
    if when is None or event.metadata is None:
        return ()
    named_pod = pod if pod is not None else (subject.name if subject.kind == "Pod" else None)
    return (
        Milestone(
            cluster=origin.cluster,
            run=origin.run,
            size=origin.size,
            node=node,
            namespace=subject.namespace,
            job=belongs.job,
            pod=named_pod,
            pod_uid=subject.uid if subject.kind == "Pod" else None,
            container=message.read_container(subject.field_path),
            moment=moment,
            at=when.at,
            resolution_seconds=when.resolution_seconds,
            witness=when.witness,
            clock=clock,
            count=event.times_seen,
            event_uid=event.metadata.uid,
            job_uid=belongs.job_uid,
            owner=belongs.owner,
        ),
    )


def _kubelet_milestone(event: Event, subject: ObjectReference, origin: Origin, moment: Moment) -> tuple[Milestone, ...]:
    when, belongs, node = event_time(event), _belonging(subject), event.host
    return _milestone(event, subject, origin, moment, when=when, belongs=belongs, node=node, clock=node or "unknown")


def _failed_record(
    event: Event, subject: ObjectReference, origin: Origin, outcome: Outcome, failure: message.FailedText
) -> Decoded:
    when, belongs = event_time(event), _belonging(subject)
    record = _record(event, subject, origin, outcome, failure.image, when=when, belongs=belongs, error=failure.error)
    return Decoded("pull", (record,))


def _pulled(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    text = message.read_pulled(event.text)
    image = text.image if text is not None else message.read_cached(event.text)
    if image is None:
        return _combined_or_unknown(event, subject, origin)
    # Once for both: this is what a collector does most.
    when, belongs, node = event_time(event), _belonging(subject), event.host
    outcome = Outcome.PULLED if text is not None else Outcome.CACHED
    record = _record(event, subject, origin, outcome, image, when=when, belongs=belongs, text=text)
    clock = node or "unknown"
    told = _milestone(event, subject, origin, Moment.PULLED, when=when, belongs=belongs, node=node, clock=clock)
    return Decoded("pull", (record,), told)


def _pulling(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    if message.read_pulling(event.text) is None:
        return _combined_or_unknown(event, subject, origin)
    return Decoded("lifecycle", (), _kubelet_milestone(event, subject, origin, Moment.PULLING))


def _failed(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    failure = message.read_failure(event.text)
    if failure is not None:
        return _failed_record(event, subject, origin, Outcome.FAILED, failure)
    what = event.text.removeprefix(message.COMBINED)
    if what.startswith("Error: "):
        # The same reason covers containers that could not be created or started.
        return ECHO if what.removeprefix("Error: ").split(":")[0] in message.PULL_ERRORS else OTHER
    return _combined_or_unknown(event, subject, origin)


def _backoff(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    text = message.read_backoff(event.text)
    if text is not None:
        return _failed_record(event, subject, origin, Outcome.BACKOFF, text)
    if event.text.removeprefix(message.COMBINED).startswith("Back-off restarting failed container"):
        return OTHER
    return _combined_or_unknown(event, subject, origin)


def _sandbox(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    failure = message.read_sandbox_failure(event.text)
    if failure is None:
        return OTHER
    return _failed_record(event, subject, origin, Outcome.FAILED, failure)


def _combined_or_unknown(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    if subject.kind != "Pod" or event.component not in ("kubelet", ""):
        return OTHER  # other controllers use these reasons for matters of their own
    if not event.text.startswith(message.COMBINED):
        return Decoded("unknown", unknown=f"{event.reason} event with a message of no known form")
    outcome = _combined_outcome(event.text.removeprefix(message.COMBINED))
    if outcome is None:
        return Decoded("unknown", unknown=f"{event.reason} events combined into a message of no known form")
    # It stands for several events with different messages, so it is pinned on no image and no container.
    error = event.text if outcome in (Outcome.FAILED, Outcome.BACKOFF) else None
    when, belongs = event_time(event), _belonging(subject)
    record = _record(event, subject, origin, outcome, None, when=when, belongs=belongs, error=error)
    record = msgspec.structs.replace(record, container=None)
    return Decoded("pull", (record,), (), f"{event.reason} events combined: which image each was of is not told")


def _combined_outcome(text: str) -> Outcome | None:
    if message.read_pulled(text):
        return Outcome.PULLED
    if message.read_cached(text):
        return Outcome.CACHED
    if message.read_failure(text):
        return Outcome.FAILED
    return Outcome.BACKOFF if message.read_backoff(text) else None


def _scheduled(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    text = message.read_scheduled(event.text)
    if text is None or subject.kind != "Pod":
        return OTHER
    when, belongs = event_time(event), _belonging(subject)
    found = _milestone(
        event, subject, origin, Moment.SCHEDULED, when=when, belongs=belongs, node=text[1], clock=CONTROL_PLANE
    )
    return Decoded("lifecycle", (), found)


def _successful_create(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    pod = message.read_created_pod(event.text)
    if pod is None or not subject.kind:
        return OTHER  # a combined one names only the last pod of several
    controller = OwnerReference(subject.kind, subject.name, subject.uid or "")
    found = _milestone(
        event,
        subject,
        origin,
        Moment.POD_CREATED,
        when=event_time(event),
        belongs=belonging(pod, None, [controller]),
        node=None,
        clock=CONTROL_PLANE,
        pod=pod,
    )
    return Decoded("lifecycle", (), found)


def _completed(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    if subject.kind != "Job":
        return OTHER
    when, belongs = event_time(event), _belonging(subject)
    found = _milestone(
        event, subject, origin, Moment.JOB_COMPLETED, when=when, belongs=belongs, node=None, clock=CONTROL_PLANE
    )
    return Decoded("lifecycle", (), found)


def _container(moment: Moment) -> Callable[[Event, ObjectReference, Origin], Decoded]:
    def read(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
        if subject.kind != "Pod":
            return OTHER
        return Decoded("lifecycle", (), _kubelet_milestone(event, subject, origin, moment))

    return read


def _image_streaming(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    text = message.read_streaming(event.text.removeprefix(message.COMBINED))
    if text is None:
        return NOTICE
    when, reference = event_time(event), parse_image(text.image)
    assert event.metadata is not None  # decode_event looked
    streaming = Streaming(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=subject.name if subject.kind == "Node" else event.host,
        repository=reference.repository,
        digest=reference.digest,
        combined=event.text.startswith(message.COMBINED),
        at=when.at if when else None,
        count=event.times_seen,
        event_uid=event.metadata.uid,
        **msgspec.structs.asdict(text),
    )
    return Decoded("notice", others=(streaming,))


def _notice(event: Event, subject: ObjectReference, origin: Origin) -> Decoded:
    return NOTICE


_READERS: dict[str, Callable[[Event, ObjectReference, Origin], Decoded]] = {
    "Pulled": _pulled,
    "Pulling": _pulling,
    "Failed": _failed,
    "ErrImageNeverPull": _failed,
    "InspectFailed": _failed,
    "BackOff": _backoff,
    "FailedCreatePodSandBox": _sandbox,
    "Scheduled": _scheduled,
    "SuccessfulCreate": _successful_create,
    "Completed": _completed,
    "Created": _container(Moment.CREATED),
    "Started": _container(Moment.STARTED),
    "ImageStreaming": _image_streaming,
    # Of interest to whoever asks why a pull was slow or failed, but no attempt to pull.
    "FailedToRetrieveImagePullSecret": _notice,
    "ImageGCFailed": _notice,
    "FreeDiskSpaceFailed": _notice,
    "EvictionThresholdMet": _notice,
    "Evicted": _notice,
    "InvalidDiskCapacity": _notice,
    "BackoffLimitExceeded": _notice,
    "DeadlineExceeded": _notice,
}
