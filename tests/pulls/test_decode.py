"""An event becomes a record: each known message, in both event APIs, with its times and identity."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.event import Event, decode_event_json
from pullstudy.pulls.milestone import Moment, Witness
from pullstudy.pulls.record import PullRecord
from tests.pulls.corpus import ECHOES, LIFECYCLE, NOTICES, OTHERS, PULLS, UNKNOWN, Row, X
from tests.pulls.events import as_json, core_event, new_event

ORIGIN = Origin(cluster="pulling-study", run="1", size=4)
NAMED_AT = datetime(2024, 11, 11, 0, 32, 10, 941901, tzinfo=UTC)


def decode(event: dict[str, Any]) -> Decoded:
    return decode_event(decode_event_json(as_json(event)), ORIGIN)


def only_pull(event: dict[str, Any]) -> PullRecord:
    (record,) = decode(event).pulls
    return record


@pytest.mark.parametrize("make", [core_event, new_event], ids=["core/v1", "events.k8s.io/v1"])
@pytest.mark.parametrize("row", PULLS, ids=lambda row: row.name)
def test_each_known_pull_message_becomes_its_record(row: Row, make: Any) -> None:
    record = only_pull(make(row.reason, row.message))
    assert record.outcome == row.outcome
    assert (record.image, record.error, record.image_bytes) == (row.image, row.error, row.image_bytes)
    assert record.pull_seconds == row.pull_seconds
    assert record.waiting_seconds == row.waiting_seconds
    assert (record.node, record.namespace, record.pod) == ("node-1", "default", "container-pull-0-xhjfv")
    assert (record.job, record.container) == ("container-pull", "container-pull")
    assert (record.cluster, record.run, record.size) == ("pulling-study", "1", 4)
    assert record.identity == (record.cluster, "8d9bbcdb-79f2-4c8a-96af-d0bb3f51e81f", 1)


@pytest.mark.parametrize("make", [core_event, new_event], ids=["core/v1", "events.k8s.io/v1"])
@pytest.mark.parametrize(("reason", "text", "moment"), LIFECYCLE)
def test_each_lifecycle_message_becomes_a_milestone(reason: str, text: str, moment: str, make: Any) -> None:
    decoded = decode(make(reason, text))
    (milestone,) = decoded.milestones
    assert (milestone.moment, milestone.at, milestone.witness) == (moment, NAMED_AT, Witness.EVENT_NAME)
    assert milestone.node == "node-1"
    assert decoded.pulls == ()


@pytest.mark.parametrize(("reason", "text"), ECHOES)
def test_an_error_that_repeats_a_pull_failure_is_known_and_makes_no_second_record(reason: str, text: str) -> None:
    assert decode(core_event(reason, text, type="Warning")) == Decoded("echo")


@pytest.mark.parametrize(("reason", "text"), NOTICES)
def test_a_notice_about_images_is_no_pull(reason: str, text: str) -> None:
    decoded = decode(core_event(reason, text))
    assert (decoded.kind, decoded.pulls, decoded.milestones, decoded.unknown) == ("notice", (), (), None)


@pytest.mark.parametrize(("reason", "text"), OTHERS)
def test_another_use_of_the_same_reasons_is_no_pull(reason: str, text: str) -> None:
    decoded = decode(core_event(reason, text))
    assert decoded == Decoded("other")


@pytest.mark.parametrize(("reason", "text"), UNKNOWN)
def test_a_message_that_nobody_knows_is_said_to_be_unknown(reason: str, text: str) -> None:
    decoded = decode(core_event(reason, text))
    assert decoded.unknown is not None
    assert reason in decoded.unknown


def test_a_combined_event_is_pinned_on_no_image_and_no_container_and_is_kept_whole() -> None:
    text = f'(combined from similar events): Failed to pull image "{X}": not found'
    event = core_event("Failed", text, count=7)
    del event["involvedObject"]["fieldPath"]
    decoded = decode(event)
    (record,) = decoded.pulls
    assert (record.outcome, record.image, record.container, record.error, record.count) == (
        "failed",
        None,
        None,
        text,
        7,
    )
    assert decoded.unknown is not None


def test_the_events_own_name_gives_the_microsecond_where_it_agrees_with_the_first_timestamp() -> None:
    record = only_pull(core_event("Pulled", f'Successfully pulled image "{X}" in 500ms (1.5s including waiting)'))
    assert record.finished_at == NAMED_AT
    assert record.started_at == NAMED_AT - timedelta(seconds=1.5)


def test_a_name_that_disagrees_with_the_first_timestamp_is_not_believed() -> None:
    event = core_event("Pulled", f'Successfully pulled image "{X}" in 1s', firstTimestamp="2024-11-11T00:32:12Z")
    event["lastTimestamp"] = "2024-11-11T00:32:12Z"
    assert only_pull(event).finished_at == datetime(2024, 11, 11, 0, 32, 12, tzinfo=UTC)


def test_an_updated_event_takes_its_last_time_and_its_count() -> None:
    record = only_pull(
        core_event("BackOff", f'Back-off pulling image "{X}"', count=5, lastTimestamp="2024-11-11T00:40:00Z")
    )
    assert record.finished_at == datetime(2024, 11, 11, 0, 40, tzinfo=UTC)
    assert record.identity == (record.cluster, "8d9bbcdb-79f2-4c8a-96af-d0bb3f51e81f", 5)


def test_a_new_style_event_with_a_series_takes_the_series_count_and_time() -> None:
    series = {"count": 3, "lastObservedTime": "2024-11-11T00:45:00.250000Z"}
    event = new_event("BackOff", f'Back-off pulling image "{X}"', series=series, eventTime="2024-11-11T00:32:10.5Z")
    record = only_pull(event)
    assert (record.count, record.finished_at) == (3, datetime(2024, 11, 11, 0, 45, 0, 250000, tzinfo=UTC))


def test_a_null_first_timestamp_falls_back_to_event_time() -> None:
    event = core_event(
        "Pulled", f'Container image "{X}" already present on machine', firstTimestamp=None, lastTimestamp=None
    )
    event["eventTime"] = "2024-11-11T00:32:10.489346Z"
    assert only_pull(event).finished_at == datetime(2024, 11, 11, 0, 32, 10, 489346, tzinfo=UTC)


def test_an_event_without_any_time_keeps_its_record_with_unknown_times() -> None:
    event = core_event("Pulled", f'Successfully pulled image "{X}" in 1s', firstTimestamp=None, lastTimestamp=None)
    event["metadata"] |= {"creationTimestamp": None}
    record = only_pull(event)
    assert (record.started_at, record.finished_at, record.pull_seconds) == (None, None, 1.0)


def test_old_kubelets_without_a_reporting_instance_are_named_by_their_source() -> None:
    event = core_event("Pulled", f'Successfully pulled image "{X}"', reportingInstance="", reportingComponent="")
    assert only_pull(event).node == "node-1"


def test_two_containers_of_one_pod_stay_two_pulls() -> None:
    event = core_event("Pulled", f'Successfully pulled image "{X}" in 1s')
    event["involvedObject"]["fieldPath"] = "spec.initContainers{init}"
    assert only_pull(event).container == "init"


def test_labels_and_owners_tell_the_job_before_the_name_does() -> None:
    labelled = core_event("Pulled", f'Successfully pulled image "{X}"')
    labelled["involvedObject"]["labels"] = {"batch.kubernetes.io/job-name": "by-label"}
    owned = core_event("Pulled", f'Successfully pulled image "{X}"')
    owned["involvedObject"]["ownerReferences"] = [{"kind": "Job", "name": "by-owner"}]
    assert (only_pull(labelled).job, only_pull(owned).job) == ("by-label", "by-owner")


def test_a_pod_of_another_controller_is_of_no_job_whatever_its_name() -> None:
    event = core_event("Pulled", f'Successfully pulled image "{X}"')
    event["involvedObject"] |= {
        "name": "router-1-8fjc6",
        "ownerReferences": [{"kind": "ReplicationController", "name": "router-1", "uid": "u", "controller": True}],
    }
    decoded = decode(event)
    assert decoded.pulls[0].job is None
    (milestone,) = decoded.milestones
    assert (milestone.job, milestone.job_uid, milestone.owner) == (None, None, "ReplicationController/router-1")


def test_the_jobs_uid_is_told_by_an_owner_a_label_or_the_jobs_own_event() -> None:
    owned, labelled = (
        core_event("Pulled", f'Successfully pulled image "{X}"'),
        core_event("Started", "Container started"),
    )
    owned["involvedObject"]["ownerReferences"] = [{"kind": "Job", "name": "j", "uid": "u1"}]
    labelled["involvedObject"]["labels"] = {"job-name": "j", "batch.kubernetes.io/controller-uid": "u2"}
    of_job = [job_event("SuccessfulCreate", "Created pod: j-0-bcdfg"), job_event("Completed", "Job completed")]
    found = [one for event in (owned, labelled, *of_job) for one in decode(event).milestones]
    assert [(one.job, one.job_uid) for one in found] == [("j", "u1"), ("j", "u2"), ("j", "u3"), ("j", "u3")]
    assert [one.pod for one in found[2:]] == ["j-0-bcdfg", None]
    assert decode(core_event("Started", "Container started")).milestones[0].job_uid is None


def job_event(reason: str, text: str, kind: str = "Job") -> dict[str, Any]:
    event = core_event(reason, text)
    event["involvedObject"] = {"kind": kind, "namespace": "default", "name": "j", "uid": "u3"}
    return event


@pytest.mark.parametrize(
    ("kind", "text", "pod"),
    [
        ("ReplicaSet", "Created pod: j-bcdfg", "j-bcdfg"),
        ("DaemonSet", "Created pod: j-bcdfg", "j-bcdfg"),
        ("StatefulSet", "create Pod j-0 in StatefulSet j successful", "j-0"),
    ],
)
def test_the_event_of_any_controller_tells_when_it_made_the_pod_and_that_it_owns_it(
    kind: str, text: str, pod: str
) -> None:
    (found,) = decode(job_event("SuccessfulCreate", text, kind)).milestones
    assert (found.moment, found.pod, found.owner) == (Moment.POD_CREATED, pod, f"{kind}/j")
    assert (found.job, found.job_uid, found.pod_uid, found.node) == (None, None, None, None)


def test_reference_parts_stand_beside_the_image() -> None:
    image = "localhost:5000/team/app:v1@sha256:" + "a" * 64
    record = only_pull(core_event("Pulled", f'Successfully pulled image "{image}" in 1s'))
    assert (record.repository, record.tag, record.digest) == ("localhost:5000/team/app", "v1", "sha256:" + "a" * 64)


JSON_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(core_event("Pulled", "x"))), JSON_VALUE)
def test_no_value_in_any_field_breaks_the_decoder_otherwise_than_by_a_decode_error(field: str, value: Any) -> None:
    raw = as_json(core_event("Pulled", f'Successfully pulled image "{X}" in 1s') | {field: value})
    try:
        event = decode_event_json(raw)
    except msgspec.DecodeError:
        return
    assert isinstance(decode_event(event, ORIGIN), Decoded)


@given(st.text())
def test_no_message_breaks_the_decoder(text: str) -> None:
    for reason in ("Pulled", "Failed", "BackOff", "Scheduled", "InspectFailed", "FailedCreatePodSandBox"):
        event = msgspec.convert(core_event(reason, text), Event)
        assert decode_event(event, ORIGIN).kind in {"pull", "lifecycle", "echo", "notice", "other", "unknown"}


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("Pulled", f'Successfully pulled image "{X}" in 1s. Image size: {2**63} bytes.'),
        ("Pulled", f'Successfully pulled image "{X}" in 1s. Image size: {"9" * 5_000} bytes.'),
        ("Pulled", f'Successfully pulled image "{X}" in {"9" * 5_000}h'),
        ("Pulled", f'Successfully pulled image "{X}" in 2562048h'),
        ("Pulled", r'Successfully pulled image "\ud800" in 1s'),
        ("Failed", r'Failed to pull image "\U0000dfff": no'),
        ("Scheduled", "Successfully assigned " + "/" * 400_000),
    ],
    ids=lambda text: text[-24:],
)
def test_what_whoever_may_create_events_writes_can_be_spooled_and_is_read_in_one_pass(reason: str, text: str) -> None:
    found = decode(core_event(reason, text))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Decoded) == found


@pytest.mark.parametrize(
    ("first", "finished_at"),
    [
        ("0002-01-01T00:00:00Z", datetime(2, 1, 1, tzinfo=UTC)),  # the pull would have begun before the year 1
        ("9999-12-31T23:59:59-23:00", datetime(2024, 11, 11, 0, 32, 11, tzinfo=UTC)),  # no date in UTC: when created
    ],
)
def test_a_time_at_the_ends_of_the_calendar_breaks_no_record(first: str, finished_at: datetime) -> None:
    text = f'Successfully pulled image "{X}" in 2000000h'
    record = only_pull(core_event("Pulled", text, firstTimestamp=first, lastTimestamp=first))
    assert record.finished_at == finished_at
    assert msgspec.json.decode(msgspec.json.encode(record), type=PullRecord) == record


@pytest.mark.parametrize("count", [2**31, 2**63, -(2**31) - 1])
def test_a_count_beyond_the_apis_32_bits_is_no_event(count: int) -> None:
    for changes in ({"count": count}, {"series": {"count": count}}, {"deprecatedCount": count}):
        with pytest.raises(msgspec.ValidationError):
            decode(core_event("BackOff", f'Back-off pulling image "{X}"', **changes))
