"""Stages and layers of pulls, from spans of real containerd as they came and as they may come."""

import gzip
import re
from collections.abc import Callable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import LayerOrigin, PulledLayer
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.spans.span import FETCH_LAYER, HANDLER, REQUEST, ROOTS, SYNC_POD, UNPACK, UNPACK_LAYER, Span
from pullstudy.pulls.spans.stage_records import records_of
from tests.pulls.spans.samples import DATA, ORIGIN, SAMPLES, client_seconds, inside, pull_spans, seconds

replace = msgspec.structs.replace


def of(spans: tuple[Span, ...], name: str) -> list[Span]:
    return sorted((span for span in spans if span.name == name), key=lambda span: span.start)


def without(spans: tuple[Span, ...], *names: str) -> tuple[Span, ...]:
    return tuple(span for span in spans if span.name not in names)


def edited(spans: tuple[Span, ...], name: str, edit: Callable[[Span], Span]) -> tuple[Span, ...]:
    return tuple(edit(span) if span.name == name else span for span in spans)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_stages_of_a_real_pull_add_up_to_what_its_client_saw_and_explain_it(name: str) -> None:
    stages, _ = inside(pull_spans(name))
    assert sum(seconds(stages).values()) == pytest.approx(stages.wall_seconds, abs=1e-6)
    assert stages.wall_seconds == pytest.approx(client_seconds(name), abs=0.1)
    assert stages.unattributed_seconds < 0.01 * stages.wall_seconds
    assert (stages.outcome, stages.complete) == (Outcome.PULLED, True)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_layers_held_up_and_what_no_layer_did_add_up_to_the_wall_time(name: str) -> None:
    stages, layers = inside(pull_spans(name))
    others = (stages.resolve_seconds, stages.wait_seconds, stages.finish_seconds, stages.unattributed_seconds)
    held = sum(layer.held_seconds or 0.0 for layer in layers)
    assert held + sum(each or 0.0 for each in others) == pytest.approx(stages.wall_seconds, abs=1e-6)


def test_the_stages_of_nine_layers_are_those_that_were_worked_out_by_hand() -> None:
    stages, layers = inside(pull_spans("g9"))
    # While the lowest layer waits for its turn, 0.071 s of that are the first byte of another, which has it.
    by_hand = {"resolve": 0.131, "queue": 0.030, "first_byte": 0.107, "transfer": 0.301, "ingest": 0.444}
    by_hand |= {"commit": 0.171, "finish": 0.014, "unattributed": 0.0}
    found = seconds(stages)
    assert {stage: found[stage] for stage in by_hand} == pytest.approx(by_hand, abs=0.001)
    # By hand preparing snapshots of all layers but the first was counted as applying them.
    assert found["prepare"] + found["apply"] == pytest.approx(3.037 + 0.016, abs=0.001)
    first = {"queue": 0.101, "first_byte": 0.036, "transfer": 0.301, "ingest": 0.444, "apply": 0.698, "commit": 0.028}
    assert seconds(layers[0]) == pytest.approx(first | {"prepare": 0.016}, abs=0.001)


def test_where_a_link_that_nodes_share_is_slow_the_time_is_transfer_though_the_lowest_layers_turn_comes_late() -> None:
    """One of 16 nodes that pulled 63 MB each over 200 Mbit/s together: 40.4 s at least for all."""
    stages, layers = inside(pull_spans("n16"))
    found = seconds(stages)
    assert (layers[0].queue_seconds or 0.0) > 30.0
    assert found["transfer"] > 0.85 * stages.wall_seconds
    assert found["queue"] < 0.001 * stages.wall_seconds


def test_the_bytes_of_each_layer_are_those_that_the_registry_answered_with() -> None:
    log = gzip.decompress((DATA / "log-g9.txt.gz").read_bytes()).decode()
    answered = re.compile(r'"fetch response received" digest="(\S+)".* response\.header\.content-length=(\d+) ')
    sent = {digest: int(size) for digest, size in answered.findall(log)}
    stages, layers = inside(pull_spans("g9"))
    assert {layer.layer_digest: layer.layer_bytes for layer in layers}.items() <= sent.items()
    assert stages.layer_bytes == sum(layer.layer_bytes or 0 for layer in layers) == 63_304_415


@pytest.mark.parametrize(("name", "kind"), [("g9", "gzip"), ("z9", "zstd"), ("17", "gzip")])
def test_layers_say_what_they_are_and_where_they_came_from(name: str, kind: str) -> None:
    stages, layers = inside(pull_spans(name))
    assert [layer.position for layer in layers] == list(range(9))
    assert {layer.media_type for layer in layers} == {f"application/vnd.oci.image.layer.v1.tar+{kind}"}
    assert {(layer.origin, layer.host) for layer in layers} == {(LayerOrigin.REGISTRY, "10.88.0.1:5000")}
    assert {(layer.requests, layer.retries, layer.present) for layer in layers} == {(1, 0, False)}
    assert (stages.layers, stages.requests, stages.retries, stages.parallel) == (9, 9, 0, False)
    assert stages.repository == f"10.88.0.1:5000/{'z9' if name == 'z9' else 'g9'}"


def test_with_parallel_unpack_waiting_for_the_layers_below_is_no_part_of_commit() -> None:
    stages, layers = inside(pull_spans("g9p"))
    assert stages.parallel
    commits = sum(layer.commit_seconds or 0.0 for layer in layers)
    assert commits == pytest.approx(stages.commit_seconds, abs=1e-6)  # one after the other: each holds the pull up
    assert max(layer.commit_seconds or 0.0 for layer in layers) < 0.2  # the lowest's span ends 1.8 s after its apply
    assert sum(layer.wait_seconds or 0.0 for layer in layers) > 10 * commits


@pytest.mark.parametrize("name", SAMPLES)
def test_spans_that_come_late_in_any_order_and_twice_give_the_same_records(name: str) -> None:
    spans = [*pull_spans(name), *pull_spans(name)[::3]]
    Random(5).shuffle(spans)
    assert records_of(spans, ORIGIN) == records_of(pull_spans(name), ORIGIN)


def test_of_a_span_that_comes_twice_and_differs_the_one_that_tells_more_counts() -> None:
    spans = pull_spans("g9")
    poorer = [replace(span, events=(), end=span.end - 1) for span in spans]
    assert records_of([*spans, *poorer], ORIGIN) == records_of([*poorer, *spans], ORIGIN) == records_of(spans, ORIGIN)


def test_spans_without_their_parent_belong_to_the_pull_that_was_open_then_and_it_is_not_complete() -> None:
    whole, known = inside(pull_spans("17"))
    stages, layers = inside(without(pull_spans("17"), "pkg.cri.server.PullImage"))  # between the root and all others
    assert (stages.complete, stages.image, whole.complete) == (False, "10.88.0.1:5000/g9:1", True)
    assert seconds(stages) == seconds(whole)
    assert [layer.layer_digest for layer in layers] == [layer.layer_digest for layer in known]


def test_without_the_span_of_all_unpacking_downloads_are_as_before() -> None:
    _, known = inside(pull_spans("g9"))
    stages, layers = inside(without(pull_spans("g9"), UNPACK))
    assert not stages.complete
    assert [layer.transfer_seconds for layer in layers] == [layer.transfer_seconds for layer in known]
    assert stages.unattributed_seconds < 0.001


def test_without_the_root_there_is_no_record() -> None:
    assert records_of(without(pull_spans("g9"), *ROOTS), ORIGIN) == []


def test_where_the_limit_of_128_events_cut_some_apply_holds_the_commits_that_nobody_tells() -> None:
    def cut(span: Span) -> Span:
        return replace(span, events=span.events[-40:], cut=True)  # of 376 the last 128 are kept, a third of this kind

    whole, _ = inside(pull_spans("g125"))
    stages, layers = inside(edited(pull_spans("g125"), UNPACK, cut))
    assert (stages.prepare_seconds, stages.commit_seconds) == (None, None)
    parts = (whole.prepare_seconds, whole.apply_seconds, whole.commit_seconds)
    assert stages.apply_seconds == pytest.approx(sum(part or 0.0 for part in parts), abs=0.001)
    assert sum(layer.commit_seconds is not None for layer in layers) == 40
    assert stages.unattributed_seconds < 0.001


def test_without_the_debug_log_transfer_holds_the_first_byte_and_apply_the_commit() -> None:
    whole, _ = inside(pull_spans("g9"))
    stages, layers = inside(tuple(replace(span, events=()) for span in pull_spans("g9")))
    found, known = seconds(stages), seconds(whole)
    assert {"first_byte", "prepare", "commit"}.isdisjoint(found)
    assert found["transfer"] == pytest.approx(known["transfer"] + known["first_byte"], abs=0.001)
    assert found["apply"] == pytest.approx(known["prepare"] + known["apply"] + known["commit"], abs=0.001)
    assert sum(found.values()) == pytest.approx(stages.wall_seconds, abs=1e-6)
    assert {layer.commit_seconds for layer in layers} == {None}


def test_a_fetch_span_that_ends_before_its_download_begins_hides_no_download() -> None:
    """containerd 1.7 before its fix: the span ends as soon as the download is started, and gets no events."""
    spans = pull_spans("17")
    first_request = {span.parent: span.start for span in reversed(of(spans, REQUEST))}
    early = edited(
        spans, FETCH_LAYER, lambda span: replace(span, end=min(span.end, first_request[span.id] - 1_000_000), events=())
    )
    whole, known = inside(spans)
    stages, layers = inside(early)
    assert stages.unattributed_seconds < 0.001
    found, before = seconds(stages), seconds(whole)
    assert found["transfer"] == pytest.approx(before["transfer"] + before["first_byte"], abs=0.01)
    assert found["apply"] == pytest.approx(before["apply"], abs=0.05)
    assert layers[0].ingest_seconds == pytest.approx(known[0].ingest_seconds, abs=0.05)  # unpacking waited for it
    assert layers[8].ingest_seconds is None  # nobody tells


def test_where_the_spans_of_downloads_are_lost_the_time_until_a_layer_was_there_is_nobodys() -> None:
    whole, _ = inside(pull_spans("g9"))
    stages, layers = inside(without(pull_spans("g9"), FETCH_LAYER, REQUEST))
    assert (stages.complete, {layer.present for layer in layers}) == (False, {None})
    found, known = seconds(stages), seconds(whole)
    lost = sum(known[stage] for stage in ("prepare", "queue", "first_byte", "transfer", "ingest"))
    assert found["unattributed"] == pytest.approx(lost, abs=0.05)
    assert found["commit"] == pytest.approx(known["commit"], abs=0.001)


def test_layers_that_are_unpacked_already_are_there_and_others_that_nobody_tells_of_are_not_said_to_be() -> None:
    spans = pull_spans("g9")
    lowest = of(spans, UNPACK_LAYER)[0].attributes["layer.media.digest"]
    fetch = {span.id for span in of(spans, FETCH_LAYER) if span.attributes["layer.media.digest"] == lowest}
    kept = tuple(span for span in spans if span.id not in fetch and span.parent not in fetch)
    unlogged = edited(
        kept, UNPACK, lambda span: replace(span, events=[e for e in span.events if e.attributes["digest"] != lowest])
    )
    _, layers = inside(unlogged)
    assert (layers[0].present, layers[0].requests, layers[1].present) == (True, 0, False)
    _, untold = inside(tuple(replace(span, events=()) for span in kept))
    assert untold[0].present is None


def test_a_layer_that_is_twice_in_an_image_has_two_records() -> None:
    spans = pull_spans("g9")
    one, other = (span.attributes["layer.media.digest"] for span in of(spans, UNPACK_LAYER)[:2])
    alike = tuple(
        replace(span, attributes={key: text.replace(other, one) for key, text in span.attributes.items()})
        for span in spans
    )
    _, layers = inside(alike)
    assert [(layer.layer_digest == one, layer.repeat, layer.position) for layer in layers[:3]] == [
        (True, 0, 0),
        (True, 1, 1),
        (False, 0, 2),
    ]


def test_a_request_that_failed_and_was_followed_is_a_retry() -> None:
    spans = pull_spans("g9")
    good = of(spans, REQUEST)[-1]
    bad = replace(
        good, id="f" * 16, start=good.start - 2, end=good.start - 1, attributes={**good.attributes, _CODE: "503"}
    )
    asked = replace(bad, id="e" * 16, attributes={**good.attributes, _CODE: "401"})
    stages, layers = inside((*spans, bad, asked))
    assert (stages.requests, stages.retries) == (11, 1)
    assert sorted((layer.requests or 0, layer.retries or 0) for layer in layers)[-1] == (3, 1)


_CODE = "http.response.status_code"


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("http://10.88.0.1:5000/v2/g9/blobs/", LayerOrigin.REGISTRY),
        ("https://mirror.example/v2/g9/blobs/", LayerOrigin.MIRROR),
        ("http://127.0.0.1:30020/v2/g9/blobs/", LayerOrigin.PEER),
    ],
)
def test_the_host_that_was_asked_tells_where_a_layer_came_from(url: str, source: LayerOrigin) -> None:
    def moved(span: Span) -> Span:
        where = span.attributes["url.full"].replace("http://10.88.0.1:5000/v2/g9/blobs/", url)
        return replace(span, attributes={**span.attributes, "url.full": where})

    _, layers = inside(edited(pull_spans("g9"), REQUEST, moved))
    assert {layer.origin for layer in layers} == {source}


def test_a_pull_below_a_kubelets_span_has_its_pod_and_two_of_one_trace_stay_apart() -> None:
    spans = pull_spans("g9")
    trace = spans[0].trace
    (root,) = (span for span in spans if span.name in ROOTS)
    pod = {"k8s.pod.uid": "u-1", "k8s.pod.name": "p", "k8s.namespace.name": "default"}
    sync = replace(root, id="1" * 16, name=SYNC_POD, start=root.start - 5, end=root.end + 5, attributes=pod, events=())
    client = replace(root, id="2" * 16, parent=sync.id, attributes={}, events=())
    below = [replace(span, parent=client.id) if span is root else span for span in spans]
    again = [replace(span, trace=trace, id=span.id[::-1], parent=span.parent[::-1]) for span in pull_spans("g9")]
    records = records_of([sync, client, *below, *again], ORIGIN)
    stages = [record for record in records if isinstance(record, PullStages)]
    assert len(records) == 2 * (1 + 9)
    assert {(each.pod, each.pod_uid) for each in stages} == {("p", "u-1"), (None, None)}
    assert len({each.pull for each in stages}) == 2


def test_a_failed_pull_says_so() -> None:
    spans = pull_spans("g9")
    (root,) = (span for span in spans if span.name in ROOTS)
    early = [replace(root, error="not found", end=root.start + 100_000_000)]
    stages, layers = inside([*early, *of(spans, HANDLER)[:1]])
    assert (stages.outcome, stages.error, stages.complete, layers) == (Outcome.FAILED, "not found", False, [])
    assert sum(seconds(stages).values()) == pytest.approx(0.1, abs=1e-6)


@st.composite
def damaged(draw: st.DrawFn) -> list[Span]:
    """Some of a real pull's spans, in any order, some of them twice, with other times, parents, events."""
    spans = pull_spans(draw(st.sampled_from(("g9", "g9p", "17"))))
    (root,) = (span for span in spans if span.name in ROOTS)
    chosen = draw(st.lists(st.sampled_from(spans), max_size=60))
    ids = [span.id for span in spans]
    return [root, *(_damaged(draw, span, ids) for span in chosen)]


def _damaged(draw: st.DrawFn, span: Span, ids: list[str]) -> Span:
    if draw(st.integers(0, 4)):
        return span
    some = draw(st.integers(-3_000_000_000, 3_000_000_000))
    match draw(st.integers(0, 3)):
        case 0:
            return replace(span, start=span.start + some)
        case 1:
            return replace(span, end=span.end + some)
        case 2:
            return replace(span, parent=draw(st.sampled_from(ids)))
        case _:
            return replace(span, events=span.events[::2], attributes={})


@given(damaged(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_whatever_is_lost_or_damaged_the_stages_add_up_and_order_and_repeats_change_nothing(
    spans: list[Span], random: Random
) -> None:
    records = records_of(spans, ORIGIN)
    again = [*spans, *random.sample(spans, len(spans) // 2)]
    random.shuffle(again)
    assert records_of(again, ORIGIN) == records
    for record in records:
        if isinstance(record, PullStages):
            assert sum(seconds(record).values()) == pytest.approx(record.wall_seconds, abs=1e-6)
        assert all(taken >= 0 for taken in seconds(record).values()) if isinstance(record, PulledLayer) else True
    keys = [(type(r), r.pull, getattr(r, "layer_digest", ""), getattr(r, "repeat", 0)) for r in records]  # type: ignore[attr-defined]
    assert len(set(keys)) == len(keys)
