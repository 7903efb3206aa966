"""Pulls as traces: which spans there are, that their ids stay the same, and the rules of OTLP and Perfetto."""

import base64
import gzip
import hashlib
import json
from collections import defaultdict
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from pullstudy.analysis.errors import ChoiceError
from pullstudy.analysis.trace_export import ALL_TRACES, TraceChoice, export_traces
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Record
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.stage import LAYER_STAGES
from pullstudy.store.embedded.store import EmbeddedStore
from tests.analysis.hand_made import HandMade, at, image_of, synthetic_sweep
from tests.pulls.spans.samples import SAMPLES, inside, pull_spans

LIFE = {
    Moment.POD_CREATED: 1.0,
    Moment.SCHEDULED: 1.25,
    Moment.PULLING: 2.0,
    Moment.PULLED: 12.0,
    Moment.CREATED: 12.5,
    Moment.STARTED: 13.0,
}


def seconds(nanoseconds: int) -> float:
    return (nanoseconds - int(at(0).timestamp()) * 10**9) / 1e9


def exported(directory: Path, to: Path, choice: TraceChoice = ALL_TRACES) -> list[TracesData]:
    """As opentelemetry-proto reads the lines. Its JSON has ids in hexadecimal, protobuf's own has bytes in base64."""
    export_traces(directory, "otlp", to, choice)
    return [parsed(line) for line in to.read_bytes().splitlines()]


def parsed(line: bytes) -> TracesData:
    def with_bytes(value: Any) -> Any:
        if isinstance(value, list):
            return [with_bytes(each) for each in value]
        if not isinstance(value, dict):
            return value
        ids = {key: base64.b64encode(bytes.fromhex(value[key])).decode() for key in ID_KEYS if key in value}
        return {**{key: with_bytes(each) for key, each in value.items()}, **ids}

    return json_format.ParseDict(with_bytes(json.loads(line)), TracesData())


ID_KEYS = ("traceId", "spanId", "parentSpanId")


def spans_of(data: TracesData) -> list[Span]:
    return [span for resource in data.resource_spans for scope in resource.scope_spans for span in scope.spans]


def by_name(data: TracesData) -> dict[str, Span]:
    found = spans_of(data)
    assert len({span.name for span in found}) == len(found)
    return {span.name: span for span in found}


def attributes(message: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        kind = value.WhichOneof("value")
        found = getattr(value, kind)
        return [plain(each) for each in found.values] if kind == "array_value" else found

    return {each.key: plain(each.value) for each in message.attributes}


def resource(data: TracesData) -> dict[str, Any]:
    return attributes(data.resource_spans[0].resource)


def one_trace(made: HandMade, tmp_path: Path) -> TracesData:
    made.write(tmp_path / "study")
    (found,) = exported(tmp_path / "study", tmp_path / "traces.jsonl")
    return found


def check_rules(traces: list[TracesData]) -> None:
    """Of the proto's comments and of the specification's JSON encoding."""
    for data in traces:
        found = spans_of(data)
        ids = {span.span_id for span in found}
        assert len(ids) == len(found)
        assert len({span.trace_id for span in found}) == 1
        for span in found:
            assert len(span.trace_id) == 16
            assert any(span.trace_id)
            assert len(span.span_id) == 8
            assert any(span.span_id)
            assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
            assert not span.parent_span_id or span.parent_span_id in ids
            assert all(
                span.start_time_unix_nano <= each.time_unix_nano <= span.end_time_unix_nano for each in span.events
            )
            for named in (span, *span.events):
                assert named.name
                keys = [each.key for each in named.attributes]
                assert len(keys) == len(set(keys))
        (root,) = (span for span in found if not span.parent_span_id)
        assert root.start_time_unix_nano == min(span.start_time_unix_nano for span in found)
        assert root.end_time_unix_nano == max(span.end_time_unix_nano for span in found)


def test_a_pull_is_a_trace_with_a_span_between_each_two_moments_that_follow_each_other(tmp_path: Path) -> None:
    made = HandMade()
    made.life("job", "job-0-aaaaa", image_of(), LIFE, waiting_seconds=2.0, pull_seconds=7.5)
    data = one_trace(made, tmp_path)
    assert {
        name: (seconds(s.start_time_unix_nano), seconds(s.end_time_unix_nano)) for name, s in by_name(data).items()
    } == {
        "container startup": (1.0, 13.0),
        "schedule": (1.0, 1.25),
        "prepare pod": (1.25, 2.0),
        "queue": (2.5, 4.5),
        "pull": (4.5, 12.0),
        "create container": (12.0, 12.5),
        "start container": (12.5, 13.0),
    }
    check_rules([data])


def test_what_it_is_of_is_said_by_the_semantic_conventions(tmp_path: Path) -> None:
    made = HandMade()
    digest = f"sha256:{'a' * 64}"
    made.life("job", "job-0-aaaaa", image_of(), LIFE, digest=digest, image_bytes=77)
    data = one_trace(made, tmp_path)
    assert resource(data) == {
        "service.name": "pullstudy",
        "k8s.cluster.name": "c-4",
        "k8s.namespace.name": "default",
        "k8s.node.name": "node-0",
        "k8s.job.name": "job",
        "k8s.pod.name": "job-0-aaaaa",
        "k8s.pod.uid": "uid-c-4-job-0-aaaaa",
        "k8s.container.name": "pull",
        "container.image.name": "ghcr.io/converged-computing/container-chonks-run1",
        "container.image.tags": ["9-layers-size-1000000000-bytes"],
        "container.image.repo_digests": [f"ghcr.io/converged-computing/container-chonks-run1@{digest}"],
        "oci.manifest.digest": digest,
        "pullstudy.run": "run-1",
        "pullstudy.cluster.size": 4,
        "pullstudy.simulated": False,
    }
    pull = attributes(by_name(data)["pull"])
    assert pull == {
        "pullstudy.image.bytes": 77,
        "pullstudy.event.uid": made.pulls[0].event_uid,
        "pullstudy.event.count": 1,
    }


@pytest.mark.parametrize("unknown", LIFE)
def test_a_moment_that_is_unknown_bounds_no_span(tmp_path: Path, unknown: Moment) -> None:
    made = HandMade()
    known = {moment: when for moment, when in LIFE.items() if moment is not unknown}
    made.life("job", "job-0-aaaaa", image_of(), known)
    if unknown is Moment.PULLED:
        made.pull("job", "job-0-aaaaa", image_of(), None, finished_at=None)  # as pod status tells of one
    bounded_by = {
        Moment.POD_CREATED: {"schedule"},
        Moment.SCHEDULED: {"schedule", "prepare pod"},
        Moment.PULLING: {"prepare pod"},
        Moment.PULLED: {"queue", "pull", "create container"},
        Moment.CREATED: {"create container", "start container"},
        Moment.STARTED: {"start container"},
    }
    everything = {"schedule", "prepare pod", "queue", "pull", "create container", "start container"}
    found = by_name(one_trace(made, tmp_path))
    assert set(found) - {"container startup"} == everything - bounded_by[unknown]


def test_a_message_without_the_waiting_time_gives_no_queue(tmp_path: Path) -> None:
    made = HandMade()
    made.life("job", "job-0-aaaaa", image_of(), LIFE, waiting_seconds=None)
    assert "queue" not in by_name(one_trace(made, tmp_path))


def test_moments_that_contradict_each_other_give_no_span_and_are_named(tmp_path: Path) -> None:
    made = HandMade()
    made.life("job", "job-0-aaaaa", image_of(), {**LIFE, Moment.SCHEDULED: 0.5}, waiting_seconds=-1.0)
    found = by_name(one_trace(made, tmp_path))
    assert "schedule" not in found
    assert "queue" not in found
    assert attributes(found["container startup"])["pullstudy.left_out"] == ["schedule", "queue"]


@pytest.mark.parametrize("absurd", [1e10, 1e300])
def test_a_duration_from_before_1970_gives_no_span(tmp_path: Path, absurd: float) -> None:
    made = HandMade()
    made.life("job", "job-0-aaaaa", image_of(), LIFE, pull_seconds=absurd)
    found = by_name(one_trace(made, tmp_path))
    assert "pull" not in found
    assert attributes(found["container startup"])["pullstudy.left_out"] == ["queue", "pull"]


def test_times_in_whole_seconds_and_by_two_clocks_are_said_to_be(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("job", "p", image_of(), 1.0, finished=12.0)
    made.mark("job", "p", Moment.POD_CREATED, 1.0, resolution_seconds=1.0)
    made.mark("job", "p", Moment.SCHEDULED, 2.0)
    made.mark("job", "p", Moment.PULLING, 11.0)
    found = by_name(one_trace(made, tmp_path))
    assert attributes(found["schedule"]) == {"pullstudy.resolution_seconds": 1.0}
    assert attributes(found["prepare pod"]) == {"pullstudy.clocks": ["control-plane", "node-0"]}


def test_attempts_that_failed_are_events_of_the_whole_since_nothing_tells_when_they_began(tmp_path: Path) -> None:
    made = HandMade()
    failed = made.pull(
        "job", "p", image_of(), None, finished=3.0, outcome=Outcome.FAILED, error="429 Too Many Requests"
    )
    made.pull("job", "p", image_of(), None, finished=4.0, outcome=Outcome.BACKOFF)
    made.pull("job", "p", image_of(), 5.0, finished=20.0)
    found = by_name(one_trace(made, tmp_path))
    assert set(found) == {"container startup", "queue", "pull"}
    root = found["container startup"]
    assert [(event.name, seconds(event.time_unix_nano)) for event in root.events] == [
        ("pull failed", 3.0),
        ("pull backed off", 4.0),
    ]
    assert attributes(root.events[0]) == {
        "error.type": "rate-limited",
        "error.message": "429 Too Many Requests",
        "pullstudy.event.uid": failed.event_uid,
        "pullstudy.event.count": 1,
    }
    assert root.status.code == Status.STATUS_CODE_UNSET


def test_a_container_whose_image_never_came_ends_in_an_error(tmp_path: Path) -> None:
    made = HandMade()
    for when, error in ((3.0, "500"), (9.0, "manifest unknown")):
        made.pull("job", "p", image_of(), None, finished=when, outcome=Outcome.FAILED, error=error)
    root = by_name(one_trace(made, tmp_path))["container startup"]
    assert (root.status.code, root.status.message) == (Status.STATUS_CODE_ERROR, "manifest unknown")
    assert (seconds(root.start_time_unix_nano), seconds(root.end_time_unix_nano)) == (3.0, 9.0)


def test_an_image_that_was_there_is_an_event_and_no_pull(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("job", "p", image_of(), None, finished=3.0, outcome=Outcome.CACHED)
    made.mark("job", "p", Moment.SCHEDULED, 1.0)
    made.mark("job", "p", Moment.PULLED, 3.0)
    found = by_name(one_trace(made, tmp_path))
    assert set(found) == {"container startup", "prepare pod"}
    assert [event.name for event in found["container startup"].events] == ["image present"]


def test_each_container_has_a_trace_of_its_own_and_each_download_of_it_a_span(tmp_path: Path) -> None:
    made = HandMade()
    for container in ("init", "main"):
        for again in (1, 2):
            made.pull("job", "p", image_of(), 1.0, finished=10.0 * again, container=container)
    made.write(tmp_path / "study")
    traces = exported(tmp_path / "study", tmp_path / "t")
    assert [resource(each)["k8s.container.name"] for each in traces] == ["init", "main"]
    assert [[span.name for span in spans_of(each)].count("pull") for each in traces] == [2, 2]
    check_rules(traces)


def test_pods_of_no_job_have_their_traces_with_all_of_their_moments(tmp_path: Path) -> None:
    made = HandMade()
    for name in ("web-1", "web-2"):  # what is known of them comes in turn, as it does from a cluster
        for moment, when in LIFE.items():
            made.mark(None, name, moment, when)  # type: ignore[arg-type]
        made.pull(None, name, image_of(), 10.0, finished=12.0)
    made.write(tmp_path / "study")
    traces = exported(tmp_path / "study", tmp_path / "t")
    assert [resource(each)["k8s.pod.name"] for each in traces] == ["web-1", "web-2"]
    assert [len(spans_of(each)) for each in traces] == [7, 7]
    assert not exported(tmp_path / "study", tmp_path / "t", TraceChoice(jobs=("*",)))


def test_pods_of_one_name_in_two_namespaces_are_two(tmp_path: Path) -> None:
    made = HandMade()
    for namespace in ("a", "b"):
        made.pull(None, "web-0", image_of(), 1.0, namespace=namespace, pod_uid=None)
    made.write(tmp_path / "study")
    traces = exported(tmp_path / "study", tmp_path / "t")
    assert [resource(each)["k8s.namespace.name"] for each in traces] == ["a", "b"]
    assert len({spans_of(each)[0].trace_id for each in traces}) == 2


def test_ids_are_made_as_the_documented_rule_says(tmp_path: Path) -> None:
    made = HandMade()
    record = made.pull("job", "p", image_of(), 1.0)
    named = made.pull("job", "q", image_of(), 1.0, pod_uid=None)
    made.write(tmp_path / "study")
    first, second = exported(tmp_path / "study", tmp_path / "t")

    def digest(*parts: object) -> str:
        return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()

    trace = digest("pullstudy/trace", record.cluster, record.pod_uid, None, None, "pull")[:32]
    assert by_name(first)["pull"].trace_id.hex() == trace
    assert by_name(first)["pull"].span_id.hex() == digest("pullstudy/span", trace, "pull", record.event_uid, 1)[:16]
    root = digest("pullstudy/span", trace, "container startup")[:16]
    assert by_name(first)["pull"].parent_span_id.hex() == root
    unnamed = digest("pullstudy/trace", named.cluster, None, "default", "q", "pull")[:32]
    assert by_name(second)["pull"].trace_id.hex() == unnamed


def test_records_written_twice_and_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    made, again = HandMade(), HandMade()
    for index in range(3):
        made.life("job", f"job-{index}-aaaaa", image_of(), LIFE)
    again.pulls, again.milestones = made.pulls[::-1], made.milestones[::-1]
    made.write(tmp_path / "first")
    again.write(tmp_path / "second")
    again.write(tmp_path / "second")
    for format in ("otlp", "perfetto"):
        for name in ("first", "second"):
            export_traces(tmp_path / name, format, tmp_path / f"{name}.{format}")
        assert (tmp_path / f"first.{format}").read_bytes() == (tmp_path / f"second.{format}").read_bytes()


def test_traces_are_chosen_by_image_and_by_job(tmp_path: Path) -> None:
    made = HandMade()
    for job, size in (("a", 1), ("b", 2)):
        made.pull(job, f"{job}-0-aaaaa", image_of(size=size), 1.0)
    made.write(tmp_path / "study")

    def jobs(choice: TraceChoice) -> list[str]:
        return [resource(each)["k8s.job.name"] for each in exported(tmp_path / "study", tmp_path / "t", choice)]

    assert jobs(ALL_TRACES) == ["a", "b"]
    assert jobs(TraceChoice(jobs=("b*",))) == ["b"]
    assert jobs(TraceChoice(images=("*-size-1-bytes",))) == ["a"]
    assert jobs(TraceChoice(images=("*-size-1-bytes",), jobs=("b",))) == []


def test_a_format_that_is_none_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    HandMade().write(tmp_path / "study")
    with pytest.raises(ChoiceError, match="choose otlp, perfetto"):
        export_traces(tmp_path / "study", "zipkin", tmp_path / "t")
    assert not (tmp_path / "t").exists()


HOSTILE = 'denied\r\n\x1b[31m\u2028</script>{"traceId":"00"}'


def test_text_of_events_cannot_leave_its_place(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("job", "p", image_of(), None, finished=3.0, outcome=Outcome.FAILED, error=HOSTILE)
    root = by_name(one_trace(made, tmp_path))["container startup"]
    assert root.status.message == HOSTILE
    text = (tmp_path / "traces.jsonl").read_bytes()
    assert text.count(b"\n") == 1
    assert b"\x1b" not in text
    export_traces(tmp_path / "study", "perfetto", tmp_path / "p")
    assert b"\x1b" not in (tmp_path / "p").read_bytes()
    assert json.loads((tmp_path / "p").read_text())["traceEvents"][2]["args"]["error"] == HOSTILE


# The real logs


def test_every_container_with_a_pull_in_the_real_logs_is_one_trace_within_the_rules(
    aws_directory: Path, tmp_path: Path
) -> None:
    traces = exported(aws_directory, tmp_path / "t")
    check_rules(traces)
    identities = [spans_of(each)[0].trace_id for each in traces]
    assert len(set(identities)) == len(identities)
    study = [each for each in traces if "k8s.job.name" in resource(each)]
    assert len(study) == (4 + 8 + 16) * 6
    assert all({"prepare pod", "pull", "create container"} <= {span.name for span in spans_of(each)} for each in study)


# Perfetto


def events_of(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
    return found


def check_format(events: list[dict[str, Any]]) -> None:
    """Of the Trace Event Format: what each phase needs, and that slices of a track nest."""
    processes = {each["pid"] for each in events if each["name"] == "process_name"}
    tracks = {(each["pid"], each["tid"]) for each in events if each["name"] == "thread_name"}
    assert len({track for _, track in tracks} | processes) == len(tracks) + len(processes)
    slices: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for each in events:
        assert each["pid"] in processes
        if each["ph"] == "M":
            assert isinstance(each["args"]["name"], str)
            continue
        assert (each["pid"], each["tid"]) in tracks
        assert isinstance(each["ts"], int)
        if each["ph"] == "X":
            assert each["dur"] >= 0
            slices[each["pid"], each["tid"]].append((each["ts"], each["ts"] + each["dur"]))
        else:
            assert (each["ph"], each["s"]) == ("i", "t")
    for found in slices.values():
        for first in found:
            for second in found:
                apart = second[0] >= first[1] or first[0] >= second[1]
                nested = (
                    first[0] <= second[0] <= second[1] <= first[1] or second[0] <= first[0] <= first[1] <= second[1]
                )
                assert apart or nested


def test_nodes_are_processes_and_containers_tracks_whose_slices_nest(aws_directory: Path, tmp_path: Path) -> None:
    choice = TraceChoice(jobs=("*",))
    export_traces(aws_directory, "perfetto", tmp_path / "p", choice)
    events = events_of(tmp_path / "p")
    check_format(events)
    nodes = [each["args"]["name"] for each in events if each["name"] == "process_name"]
    told = [resource(each) for each in exported(aws_directory, tmp_path / "t", choice)]
    assert sorted(nodes) == sorted({f"{each['k8s.node.name']} ({each['k8s.cluster.name']})" for each in told})
    containers = [each for each in events if each["name"] == "thread_name" and not each["args"]["name"].endswith(")")]
    assert len(containers) == (4 + 8 + 16) * 6


def test_slices_that_overlap_are_on_tracks_of_their_own(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("job", "p", image_of(), 4.0, finished=10.0, waiting_seconds=None)
    made.pull("job", "p", image_of(), 4.0, finished=12.0, waiting_seconds=None)
    made.write(tmp_path / "study")
    export_traces(tmp_path / "study", "perfetto", tmp_path / "p")
    events = events_of(tmp_path / "p")
    check_format(events)
    assert [each["args"]["name"] for each in events if each["name"] == "thread_name"] == ["p / pull", "p / pull (2)"]


def test_what_took_no_time_is_no_slice_and_no_track(tmp_path: Path) -> None:
    made = HandMade()
    made.life("job", "job-0-aaaaa", image_of(), {**LIFE, Moment.SCHEDULED: 1.0}, waiting_seconds=0.0)
    made.write(tmp_path / "study")
    export_traces(tmp_path / "study", "perfetto", tmp_path / "p")
    events = events_of(tmp_path / "p")
    names = ["container startup", "prepare pod", "pull", "create container", "start container"]
    assert [each["name"] for each in events if each["ph"] == "X"] == names
    assert sum(each["name"] == "thread_name" for each in events) == 1


def test_a_job_of_256_nodes_is_a_file_under_5_mb(tmp_path: Path) -> None:
    synthetic_sweep(tmp_path / "study", sizes=(256,), image_bytes=(1_000_000_000,))
    assert export_traces(tmp_path / "study", "perfetto", tmp_path / "p") == 256
    check_format(events_of(tmp_path / "p"))
    assert (tmp_path / "p").stat().st_size < 5_000_000


def test_a_study_without_pulls_is_an_empty_file_of_either_format(tmp_path: Path) -> None:
    HandMade().write(tmp_path / "study")
    assert export_traces(tmp_path / "study", "otlp", tmp_path / "t") == 0
    assert (tmp_path / "t").read_bytes() == b""
    assert export_traces(tmp_path / "study", "perfetto", tmp_path / "p") == 0
    assert events_of(tmp_path / "p") == []


# The inside of pulls, by the spans of real containerd


def with_inside(directory: Path, sample: str, nodes: int = 1, **changes: Any) -> tuple[PullStages, list[PulledLayer]]:
    """A job whose pulls are that of the sample, on each node; the records of the first."""
    stages, layers = inside(pull_spans(sample))
    made = HandMade()
    records: list[Record] = []
    for number in range(nodes):
        node, name = f"node-{number}", f"{stages.trace}/{number:016x}"
        places = {"cluster": made.cluster, "node": node, "pull": name}
        records += [msgspec.structs.replace(each, **places) for each in (stages, *layers)]
        told = {"finished_at": stages.finished_at, "node": node, **changes}
        made.pull("job", f"job-{number}-aaaaa", stages.image or "", stages.wall_seconds, **told)
    made.write(directory)
    store = EmbeddedStore(directory, create=True)
    store.write_now(Batch(more=records))
    store.close_now()
    first, *others = records[: len(layers) + 1]
    assert isinstance(first, PullStages)
    return first, [layer for layer in others if isinstance(layer, PulledLayer)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_pull_holds_its_layers_and_these_their_stages_each_as_long_as_the_records_say(
    tmp_path: Path, sample: str
) -> None:
    stages, layers = with_inside(tmp_path / "study", sample)
    (data,) = exported(tmp_path / "study", tmp_path / "t")
    check_rules([data])
    found = spans_of(data)
    (pull,) = (span for span in found if span.name == "pull")
    of_layers = [span for span in found if span.name == "layer"]
    assert [attributes(span)["pullstudy.layer.digest"] for span in of_layers] == [
        layer.layer_digest for layer in layers
    ]
    assert {span.parent_span_id for span in of_layers} == {pull.span_id}
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in pull.links] == [(stages.trace, "0" * 16)]
    for span, layer in zip(of_layers, layers, strict=True):
        below = sorted(
            (each for each in found if each.parent_span_id == span.span_id), key=lambda each: each.start_time_unix_nano
        )
        assert below
        for each in below:
            taken = getattr(layer, f"{each.name.removeprefix('layer ').replace(' ', '_')}_seconds")
            assert (each.end_time_unix_nano - each.start_time_unix_nano) / 1e9 == pytest.approx(taken, abs=3e-6)
            assert span.start_time_unix_nano <= each.start_time_unix_nano
            assert each.end_time_unix_nano <= span.end_time_unix_nano + 3000
        for one, other in pairwise(below):
            assert one.end_time_unix_nano <= other.start_time_unix_nano, "a layer is in one stage at a time"


def test_with_serial_unpack_every_stage_that_took_time_has_its_span(tmp_path: Path) -> None:
    _, layers = with_inside(tmp_path / "study", "g9")
    (data,) = exported(tmp_path / "study", tmp_path / "t")
    known = sum(bool(getattr(layer, f"{stage}_seconds")) for layer in layers for stage in LAYER_STAGES)
    assert sum(span.name.startswith("layer ") for span in spans_of(data)) == known


def test_a_stage_in_several_stretches_has_no_span_since_nothing_tells_where_they_lie(tmp_path: Path) -> None:
    _, layers = with_inside(tmp_path / "study", "g9p")
    (data,) = exported(tmp_path / "study", tmp_path / "t")
    waited = sum(bool(layer.wait_seconds) for layer in layers)
    assert sum(span.name == "layer wait" for span in spans_of(data)) < waited


def test_an_attempt_that_failed_has_a_span_where_the_runtime_told_of_it(tmp_path: Path) -> None:
    stages, _ = with_inside(tmp_path / "study", "g9", outcome=Outcome.FAILED, pull_seconds=None, error="500")
    (data,) = exported(tmp_path / "study", tmp_path / "t")
    (pull,) = (span for span in spans_of(data) if span.name == "pull")
    assert (pull.status.code, pull.status.message) == (Status.STATUS_CODE_ERROR, "500")
    assert pull.end_time_unix_nano - pull.start_time_unix_nano == round(stages.wall_seconds * 1e6) * 1000


@pytest.mark.parametrize("sample", SAMPLES)
def test_layers_that_overlap_are_on_tracks_of_their_own_with_their_stages(tmp_path: Path, sample: str) -> None:
    _, layers = with_inside(tmp_path / "study", sample)
    export_traces(tmp_path / "study", "perfetto", tmp_path / "p")
    events = events_of(tmp_path / "p")
    check_format(events)
    slices: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for each in events:
        if each["ph"] == "X" and each["name"].startswith("layer"):
            slices[each["name"]].append((each["tid"], each["ts"], each["ts"] + each["dur"]))
    of_layers = slices.pop("layer")
    assert len(of_layers) == len(layers)
    for one, other in pairwise(sorted(of_layers)):
        assert one[0] != other[0] or one[2] <= other[1], "a track has one layer at a time"
    for track, start, end in chain.from_iterable(slices.values()):
        assert any(track == layer[0] and layer[1] <= start and end <= layer[2] for layer in of_layers)


def test_an_eighth_of_a_job_of_256_nodes_with_125_layers_is_an_eighth_of_5_mb_with_gzip(tmp_path: Path) -> None:
    with_inside(tmp_path / "study", "g125", nodes=32)
    assert export_traces(tmp_path / "study", "perfetto", tmp_path / "p.json.gz") == 32
    packed = (tmp_path / "p.json.gz").read_bytes()
    assert len(packed) < 5_000_000 / 8
    events = json.loads(gzip.decompress(packed))["traceEvents"]
    assert sum(each["name"] == "layer" for each in events) == 32 * 125


def test_a_file_with_gzip_is_the_same_each_time(tmp_path: Path) -> None:
    HandMade().write(tmp_path / "study")
    for name in ("one.json.gz", "another.json.gz"):
        export_traces(tmp_path / "study", "perfetto", tmp_path / name)
    assert (tmp_path / "one.json.gz").read_bytes() == (tmp_path / "another.json.gz").read_bytes()
