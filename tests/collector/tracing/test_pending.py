"""When the records of a pull are made: at once where nothing is missing, else when nothing came for a while."""

from dataclasses import replace
from random import Random

import msgspec

from collector.settings import TracingSettings
from collector.tracing.pending import PendingSpans
from pullstudy.pulls.kind import Record
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.spans.span import REQUEST, ROOTS, SYNC_POD, Span
from pullstudy.pulls.spans.stage_records import records_of
from tests.pulls.spans.samples import ORIGIN, pull_spans

SETTINGS = TracingSettings(quiet_seconds=30, kubelet_seconds=120, give_up_seconds=3600)


def made(pending: PendingSpans, now: float) -> list[Record]:
    return [record for name in pending.due(now) for record in pending.settle(name, now)]


def root_of(spans: tuple[Span, ...]) -> Span:
    return next(span for span in spans if span.name in ROOTS)


def test_a_pull_of_which_nothing_is_missing_is_recorded_at_once() -> None:
    pending = PendingSpans(ORIGIN, SETTINGS)
    *early, last = pull_spans("g9")
    pending.add(early, 1, 0.0)
    assert (made(pending, 1.0), pending.segments) == ([], {1})
    pending.add([last], 2, 5.0)
    assert made(pending, 5.0) == records_of(pull_spans("g9"), ORIGIN)
    assert (pending.spans, pending.segments, pending.pulls, pending.due(5000.0)) == (0, set(), 1, [])


def test_a_pull_of_which_something_is_missing_is_recorded_when_nothing_came_for_a_while() -> None:
    pending = PendingSpans(ORIGIN, SETTINGS)
    spans = [span for span in pull_spans("g9") if span.name != REQUEST]
    pending.add(spans, 1, 0.0)
    assert (made(pending, 0.0), made(pending, 29.0)) == ([], [])
    assert made(pending, 30.0) == records_of(spans, ORIGIN)


def test_order_repeats_and_pieces_change_no_record() -> None:
    random = Random(3)
    spans = [*pull_spans("g9p"), *pull_spans("g125"), *pull_spans("17"), *pull_spans("g125")[::2]]
    random.shuffle(spans)
    pending = PendingSpans(ORIGIN, SETTINGS)
    found: list[Record] = []
    for at in range(0, len(spans), 50):
        pending.add(spans[at : at + 50], at, at / 100)
        found += made(pending, at / 100)
    expected = [record for name in ("g9p", "g125", "17") for record in records_of(pull_spans(name), ORIGIN)]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_what_comes_after_the_records_is_late_across_a_restart_too() -> None:
    pending = PendingSpans(ORIGIN, SETTINGS)
    pending.add(pull_spans("g9"), 1, 0.0)
    assert made(pending, 0.0)
    again = PendingSpans(ORIGIN, SETTINGS, pending.last_settled())
    for each in (pending, again):
        each.add(pull_spans("g9"), 2, 1.0)
        assert (each.late, each.spans, made(each, 4000.0)) == (len(pull_spans("g9")), 0, [])


def test_only_so_many_pulls_are_remembered() -> None:
    pending = PendingSpans(ORIGIN, replace(SETTINGS, settled_pulls=2, settled_kept=1))
    for name in ("g9", "z9", "g9p"):
        pending.add(pull_spans(name), 1, 0.0)
        assert made(pending, 0.0)
    assert [each.pull.partition("/")[0] for each in pending.last_settled()] == [pull_spans("g9p")[0].trace]
    pending.add(pull_spans("g9"), 1, 0.0)
    assert (pending.late, made(pending, 0.0)) == (0, records_of(pull_spans("g9"), ORIGIN))


def test_a_pull_that_never_ends_is_given_up() -> None:
    pending = PendingSpans(ORIGIN, SETTINGS)
    spans = [span for span in pull_spans("g9") if span.name not in ROOTS]
    pending.add(spans, 1, 0.0)
    assert made(pending, 3599.0) == []
    assert (made(pending, 3600.0), pending.given_up, pending.spans, pending.segments) == ([], len(spans), 0, set())


def test_the_trace_that_waits_longest_is_given_up_first() -> None:
    pending = PendingSpans(ORIGIN, SETTINGS)
    g9, z9 = pull_spans("g9"), pull_spans("z9")
    pending.add(g9[:3], 1, 0.0)
    pending.add(z9[:5], 2, 1.0)
    pending.add(g9[3:6], 3, 2.0)
    pending.give_up_longest()
    assert (pending.given_up, pending.spans, pending.segments) == (5, 6, {1, 3})


def test_a_pull_below_a_kubelets_call_waits_for_the_kubelets_own_span() -> None:
    sync = "1" * 16
    root = root_of(pull_spans("g9"))
    client = msgspec.structs.replace(root, id="2" * 16, parent=sync, client=True, attributes={}, events=())
    spans = [msgspec.structs.replace(each, parent=client.id) if each is root else each for each in pull_spans("g9")]
    pod = {"k8s.pod.uid": "u-1", "k8s.pod.name": "p", "k8s.namespace.name": "default"}
    above = msgspec.structs.replace(client, id=sync, parent="", name=SYNC_POD, client=False, attributes=pod)
    pending = PendingSpans(ORIGIN, SETTINGS)
    pending.add([client, *spans], 1, 0.0)
    assert (made(pending, 0.0), made(pending, 60.0)) == ([], [])
    pending.add([above], 1, 60.0)
    (stages, *layers) = made(pending, 60.0)
    assert isinstance(stages, PullStages)
    assert (stages.pod_uid, len(layers)) == ("u-1", 9)
    assert (made(pending, 180.0), pending.spans, pending.given_up) == ([], 0, 0)  # of the kubelet's nothing is left


def test_a_kubelets_own_spans_are_no_pull_and_nothing_that_is_given_up() -> None:
    client = msgspec.structs.replace(root_of(pull_spans("g9")), client=True)
    pending = PendingSpans(ORIGIN, SETTINGS)
    pending.add([client, msgspec.structs.replace(client, id="1" * 16, name=SYNC_POD, client=False)], 1, 0.0)
    assert (made(pending, 119.0), pending.spans) == ([], 2)
    assert (made(pending, 120.0), pending.spans, pending.given_up, pending.pulls) == ([], 0, 0, 0)
