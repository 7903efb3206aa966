"""Event logs of every form are read, and what cannot be read is told with its line."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from pullstudy.pulls.eventlog import ExporterLine, LoggedEvent, OtherDocument, UnreadableLine, read_log
from tests.pulls.events import as_json, core_event, new_event

EVENT = core_event("Pulled", 'Successfully pulled image "x" in 1s')


def read(text: bytes) -> list[Any]:
    return list(read_log(text.splitlines(keepends=True)))


def uids(items: list[Any]) -> list[str]:
    return [item.event.metadata.uid for item in items if isinstance(item, LoggedEvent)]


def event(uid: str) -> dict[str, Any]:
    return EVENT | {"metadata": EVENT["metadata"] | {"uid": uid}}


def test_exporter_lines_stand_apart_from_events() -> None:
    own = b'{"level":"warn","time":"2024-11-11T00:35:01Z","message":"Event discarded as being older"}'
    items = read(own + b"\n" + as_json(EVENT) + b"\n")
    assert isinstance(items[0], ExporterLine)
    assert items[0].message == "Event discarded as being older"
    assert [item.line for item in items] == [1, 2]


def test_watch_lines_are_opened() -> None:
    lines = [json.dumps({"type": kind, "object": event(kind)}).encode() for kind in ("ADDED", "MODIFIED", "DELETED")]
    assert uids(read(b"\n".join(lines))) == ["ADDED", "MODIFIED", "DELETED"]


def test_an_event_whose_own_type_is_normal_is_no_watch_line() -> None:
    assert uids(read(as_json(event("a")))) == ["a"]


def test_a_kubectl_list_is_opened_whether_pretty_or_on_one_line() -> None:
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [event("a"), event("b")],
        "metadata": {"resourceVersion": ""},
    }
    assert uids(read(json.dumps(listed, indent=4).encode())) == ["a", "b"]
    assert uids(read(json.dumps(listed).encode())) == ["a", "b"]


def test_pretty_documents_one_after_the_other_are_read_each() -> None:
    text = "\n".join(json.dumps(event(uid), indent=4) for uid in "abc")
    assert uids(read(text.encode())) == ["a", "b", "c"]


def test_the_new_event_api_is_read_too() -> None:
    assert len(uids(read(as_json(new_event("Pulled", "x"))))) == 1


def test_a_timestamp_before_the_json_is_passed_over() -> None:
    assert uids(read(b"2024-11-11T00:35:01.5Z " + as_json(event("a")))) == ["a"]


def test_a_broken_line_is_told_with_its_number_and_stops_nothing() -> None:
    text = b"\n".join(
        [
            as_json(event("a")),
            as_json(event("b"))[:200],
            b"E1124 not json",
            as_json(event("c")),
            b'{"reason": 5, "involvedObject": {}}',
        ]
    )
    items = read(text)
    assert uids(items) == ["a", "c"]
    bad = [item for item in items if isinstance(item, UnreadableLine)]
    assert [item.line for item in bad] == [2, 3, 5]
    assert bad[1].raw == b"E1124 not json"


def test_bytes_that_are_no_text_are_told() -> None:
    (item,) = read(b'{"reason": "\xff\xfe", "involvedObject": {}}')
    assert isinstance(item, UnreadableLine)


def test_a_list_that_is_cut_off_gives_its_whole_items_and_tells_where_it_began() -> None:
    listed = json.dumps({"kind": "List", "items": [event("b"), event("c")]}, indent=4).encode()
    items = read(as_json(event("a")) + b"\n" + listed[:-200])
    assert uids(items) == ["a", "b"]
    assert isinstance(items[-1], UnreadableLine)
    assert items[-1].line == 2


def test_a_cut_off_document_does_not_swallow_the_lines_after_it() -> None:
    items = read(b'{\n  "kind": "List",\n' + as_json(event("a")))
    assert uids(items) == ["a"]


def test_nodes_are_another_document() -> None:
    nodes = {"kind": "List", "items": [{"kind": "Node", "metadata": {"name": "n"}}]}
    (item,) = read(json.dumps(nodes, indent=4).encode())
    assert isinstance(item, OtherDocument)
    assert item.value == nodes


_BRACKETS = st.text('{}[]", \\:a', max_size=6).map(str.encode)


@given(st.lists(st.binary(max_size=40) | _BRACKETS | st.just(as_json(EVENT)), max_size=8))
@example([b"{[", as_json(EVENT)])
@example([b"{[", as_json(EVENT), b"]}"])
@example([b'[{"a":[', as_json(EVENT)])
def test_no_input_stops_the_reader_or_loses_a_whole_event_line(chunks: list[bytes]) -> None:
    lines = [chunk.replace(b"\n", b" ").replace(b"\r", b" ") for chunk in chunks]
    items = list(read_log(line + b"\n" for line in lines))
    whole = sum(line == as_json(EVENT) for line in lines)
    assert len(uids(items)) == whole


def _enclosed(events: list[dict[str, Any]]) -> Any:
    return {"hits": {"hits": [{"_source": each} for each in events]}}


def _in_strings(events: list[dict[str, Any]]) -> Any:
    return {"data": [["1", json.dumps(each)] for each in events]}


LAYOUTS: dict[str, Any] = {
    "a list": lambda events: {"kind": "List", "items": events},
    "without kind": lambda events: {"items": events},
    "an array": lambda events: events,
    "enclosed": _enclosed,
    "in strings": _in_strings,
}


@given(
    st.integers(1, 5),
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from([None, 0, 1, 4, "\t"]),
    st.sampled_from([(",", ":"), (", ", ": "), (",", " : ")]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_no_layout_of_the_same_events_changes_what_is_read(
    count: int, layout: str, indent: int | str | None, separators: tuple[str, str], line_end: str
) -> None:
    expected = [f"uid-{number}" for number in range(count)]
    laid_out = LAYOUTS[layout]([event(uid) for uid in expected])
    text = json.dumps(laid_out, indent=indent, separators=separators).replace("\n", line_end)
    items = read(text.encode())
    assert uids(items) == expected
    assert len(items) == count


@given(st.integers(1, 5), st.sampled_from(["", " ", "\n", "\n\n"]), st.sampled_from([None, 0, 2]))
def test_documents_one_after_the_other_are_read_each_whatever_is_between(
    count: int, between: str, indent: int | None
) -> None:
    expected = [f"uid-{number}" for number in range(count)]
    items = read(between.join(json.dumps(event(uid), indent=indent) for uid in expected).encode())
    assert uids(items) == expected
    assert len(items) == count
