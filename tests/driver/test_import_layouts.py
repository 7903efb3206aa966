"""The same events in every layout that people have them in give the same records."""

import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from driver.importing.archive import Part, parts_of
from driver.importing.log_file import lines_of, opened
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.eventlog import ExporterLine, LoggedEvent, OtherDocument, ReadingLimits, UnreadableLine, read_log
from pullstudy.pulls.record import PullRecord

ORIGIN = Origin(cluster="c")


def read(path: Path) -> tuple[list[PullRecord], int]:
    with opened(path, lambda line: None) as file:
        parts = [part for part in parts_of(file) if isinstance(part, Part)]
        return counted(list(read_log(lines_of(parts[0].stream))))


def counted(items: list[Any]) -> tuple[list[PullRecord], int]:
    """The pulls of a log, and what of it is told as unreadable or as without an identity."""
    events = [item.event for item in items if isinstance(item, LoggedEvent)]
    named = [event for event in events if event.metadata is not None and event.metadata.uid]
    pulls = [pull for event in named for pull in decode_event(event, ORIGIN).pulls]
    unreadable = sum(isinstance(item, UnreadableLine) for item in items)
    return pulls, unreadable + len(events) - len(named)


def of_text(text: bytes) -> tuple[list[PullRecord], int]:
    return counted(list(read_log(text.splitlines(keepends=True))))


# -- the same events in every layout ---------------------------------------------------------------------------------


def event(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"pod-{number}.17ee3a570917c381", "namespace": "default", "uid": f"uid-{number}"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": "default",
            "name": f"pod-{number}",
            "fieldPath": "spec.containers{a}",
        },
        "reason": "Pulled",
        "message": f'Successfully pulled image "r.example/a:v{number}" in {number}.5s ({number}.7s including waiting)',
        "source": {"component": "kubelet", "host": f"node-{number}"},
        "firstTimestamp": "2024-08-23T02:24:11Z",
        "lastTimestamp": "2024-08-23T02:24:11Z",
        "count": 1,
    }


def otlp(value: Any) -> Any:
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": otlp(each)} for key, each in value.items()]}}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def lines(each: Callable[[dict[str, Any]], Any], events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(each(one)) + "\n" for one in events)


def wide(events: list[dict[str, Any]]) -> str:
    rows = [("LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE", "FIRST SEEN", "COUNT", "NAME")]
    for one in events:
        subject, source = one["involvedObject"], f"kubelet, {one['source']['host']}"
        row = ("3m12s", "Normal", "Pulled", f"pod/{subject['name']}", subject["fieldPath"], source, one["message"])
        rows.append((*row, "3m12s", "1", one["metadata"]["name"]))
    widths = [max(len(row[place]) for row in rows) + 3 for place in range(len(rows[0]))]
    return "".join("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "\n" for row in rows)


Layout = Callable[[list[dict[str, Any]]], str]
LAYOUTS: dict[str, Layout] = {
    "one event a line": lambda events: lines(lambda one: one, events),
    "a prefix before each": lambda events: "".join(f"2024-08-23T02:24Z F {json.dumps(one)}\n" for one in events),
    "several on a line": lambda events: " ".join(map(json.dumps, events)),
    "glued": lambda events: "".join(map(json.dumps, events)),
    "List": lambda events: json.dumps({"kind": "List", "items": events}),
    "List, indented": lambda events: json.dumps({"kind": "List", "items": events}, indent=4),
    "List, no indent": lambda events: json.dumps({"kind": "List", "items": events}, indent=0),
    "items alone": lambda events: json.dumps({"items": events}, indent=2),
    "array": json.dumps,
    "array, indented": lambda events: json.dumps(events, indent=1),
    "array, one object a line": lambda events: "[\n" + ",\n".join(map(json.dumps, events)) + "\n]\n",
    "array, comma first": lambda events: "[" + "\n,".join(map(json.dumps, events)) + "]",
    "documents over lines": lambda events: "\n".join(json.dumps(one, indent=4) for one in events),
    "documents, no indent": lambda events: "\n".join(json.dumps(one, indent=0) for one in events),
    "watch lines": lambda events: lines(lambda one: {"type": "ADDED", "object": one}, events),
    "Cloud Logging": lambda events: json.dumps([{"insertId": "a", "jsonPayload": one} for one in events], indent=2),
    "Elasticsearch": lambda events: json.dumps({"hits": {"hits": [{"_source": one} for one in events]}}),
    "docker json-file": lambda events: lines(lambda one: {"log": json.dumps(one) + "\n", "stream": "stdout"}, events),
    "Loki": lambda events: json.dumps(
        {"data": {"result": [{"stream": {}, "values": [["1", json.dumps(one)] for one in events]}]}}
    ),
    "CloudWatch": lambda events: json.dumps({"events": [{"message": json.dumps(one)} for one in events]}),
    "eventrouter": lambda events: lines(lambda one: {"verb": "ADDED", "event": one}, events),
    "Vector": lambda events: lines(lambda one: {"message": json.dumps(one), "file": "/var/log/a"}, events),
    "Fluent Bit": lambda events: lines(lambda one: [1724379851.0, {"log": json.dumps(one)}], events),
    "Splunk": lambda events: lines(lambda one: {"preview": False, "result": {"_raw": json.dumps(one)}}, events),
    "OTLP logs": lambda events: json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": otlp(one)} for one in events]}]}]}
    ),
    "kubectl get events -o wide": wide,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=10, deadline=None)
@given(numbers=st.lists(st.integers(1, 9), min_size=1, max_size=5, unique=True))
def test_the_layout_of_events_changes_nothing_of_what_is_read(layout: str, numbers: list[int]) -> None:
    pulls, rejects = of_text(LAYOUTS[layout]([event(number) for number in numbers]).encode())
    assert rejects == 0
    assert [(pull.node, pull.image, pull.pull_seconds, pull.pod) for pull in pulls] == [
        (f"node-{number}", f"r.example/a:v{number}", number + 0.5, f"pod-{number}") for number in numbers
    ]
    assert {pull.finished_at for pull in pulls} == {pulls[0].finished_at}
    assert pulls[0].finished_at is not None


SMALL = ReadingLimits(line_bytes=1_000, item_bytes=3_000, document_bytes=20_000)


def in_parts(text: bytes, size: int) -> Iterator[bytes]:
    """Lines, those over 1,000 bytes in parts of about ``size``."""

    class Cut(io.BytesIO):
        def read1(self, _: int | None = -1) -> bytes:
            return self.read(size)

    return lines_of(Cut(text), SMALL.line_bytes)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "kubectl get events -o wide"])
@settings(max_examples=8, deadline=None)
@given(count=st.integers(20, 90), size=st.integers(1, 5_000))
def test_an_envelope_of_any_length_is_read_event_by_event(layout: str, count: int, size: int) -> None:
    text = LAYOUTS[layout]([event(number) for number in range(count)]).encode()
    items = list(read_log(in_parts(text, size), SMALL))
    read = [item.event.metadata.uid for item in items if isinstance(item, LoggedEvent) and item.event.metadata]
    assert read == [f"uid-{number}" for number in range(count)]
    assert len(items) == count


def envelopes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    other = st.sampled_from([1, "text", 'a [ { \\ " ] }', None, {"a": [{"b": []}]}, [], [[1], [{"c": "]"}]]])
    return st.one_of(
        st.lists(st.one_of(inner, other), max_size=8),
        st.dictionaries(st.sampled_from("abcdef"), st.one_of(inner, other), max_size=4),
    )


@settings(max_examples=60, deadline=None)
@given(
    shape=st.recursive(st.just("EVENTS"), envelopes, max_leaves=12),
    each=st.integers(1, 30),
    size=st.integers(1, 3_000),
    wrapped=st.booleans(),
)
def test_events_are_found_in_arrays_wherever_these_stand(shape: Any, each: int, size: int, wrapped: bool) -> None:
    numbers = itertools.count()

    def filled(value: Any) -> Any:
        if value == "EVENTS":
            made = [event(next(numbers)) for _ in range(each)]
            return [{"_source": one} for one in made] if wrapped else made
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        return [filled(one) for one in value] if isinstance(value, list) else value

    text = json.dumps({"answer": filled(shape)}).encode() + b"\n"
    items = list(read_log(in_parts(text, size), SMALL))
    read = [item.event.metadata.uid for item in items if isinstance(item, LoggedEvent) and item.event.metadata]
    lost = [item for item in items if isinstance(item, UnreadableLine)]
    assert lost or sorted(read) == sorted(f"uid-{number}" for number in range(next(numbers)))
    # What is lost is a document of some events beside much else: never without a word.
    assert len(lost) <= 1 + text.count(b"uid-") // 2


def test_an_answer_that_is_too_long_and_has_no_event_is_one_reject() -> None:
    text = json.dumps({"hits": {"hits": [{"_source": {"message": "regarding " * 9}} for _ in range(300)]}}).encode()
    (item,) = read_log(in_parts(text, 500), SMALL)
    assert isinstance(item, UnreadableLine)
    assert "without an event in its arrays" in item.problem


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_that_windows_writes_are_read(tmp_path: Path, encoding: str) -> None:
    text = "\ufeff" * (encoding == "utf-16-be") + LAYOUTS["List, indented"]([event(1), event(2)])
    (tmp_path / "log").write_bytes(text.encode(encoding))
    pulls, rejects = read(tmp_path / "log")
    assert (len(pulls), rejects) == (2, 0)


@settings(max_examples=60, deadline=None)
@given(
    cut=st.integers(1, 2_000), layout=st.sampled_from(["List, indented", "List, no indent", "array, one object a line"])
)
def test_a_document_cut_anywhere_loses_no_whole_one_after_it(cut: int, layout: str) -> None:
    text = LAYOUTS[layout]([event(1), event(2), event(3)])
    cut = min(cut, len(text) - 3)
    # Without a margin, what follows such a character may be a part of what was cut off.
    assume(layout != "List, no indent" or not text[:-cut].rstrip().endswith((":", ",", "[")))
    pulls, _ = of_text(text[:-cut].encode() + b"\n" + LAYOUTS[layout]([event(4), event(5)]).encode())
    assert [pull.node for pull in pulls][-2:] == ["node-4", "node-5"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (
            json.dumps({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "verb": "get"}),
            "audit log",
        ),
        ("LAST SEEN   TYPE     REASON   OBJECT      MESSAGE\n3m   Normal   Pulled   pod/a   x", "-o wide"),
        ("Name:         pod-1\nNamespace:    default\nEvents:\n  Type  Reason\n  ----  ----", "kubectl describe"),
    ],
)
def test_what_is_not_read_is_one_reject_that_says_why(text: str, word: str) -> None:
    (item,) = read_log(text.encode().splitlines(keepends=True))
    assert isinstance(item, UnreadableLine)
    assert word in item.problem


def test_an_exporters_own_lines_and_other_documents_are_no_rejects() -> None:
    text = '{"level":"info","message":"started"}\n{"kind":"Node","metadata":{"name":"n"}}\n'
    assert [type(item) for item in read_log(text.encode().splitlines(keepends=True))] == [ExporterLine, OtherDocument]


@pytest.mark.parametrize("values", ["null", "5", '"x"', "{}", "[null, 1]"])
@pytest.mark.parametrize("name", ["kvlistValue", "arrayValue"])
def test_odd_otlp_values_stop_nothing(name: str, values: str) -> None:
    odd = f'{{"body": {{"{name}": {{"values": {values}}}}}, "about": "involvedObject"}}\n'
    pulls, _ = of_text((odd + json.dumps(event(1))).encode())
    assert [pull.node for pull in pulls] == ["node-1"]


def test_a_count_of_5000_digits_in_a_table_stops_nothing() -> None:
    cells = {"LAST SEEN": "3m", "TYPE": "Normal", "REASON": "Pulled", "OBJECT": "pod/a", "SOURCE": "kubelet, n"}
    cells |= {"MESSAGE": "m", "COUNT": "9" * 5_000, "NAME": "a.17ee3a570917c381"}
    widths = [max(len(head), len(cell)) + 3 for head, cell in cells.items()]
    rows = ["".join(map(str.ljust, row, widths)) + "\n" for row in (cells.keys(), cells.values())]
    (item,) = read_log([row.encode() for row in rows])
    assert isinstance(item, LoggedEvent)
