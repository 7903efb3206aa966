"""A message says which schema it is of, and an older reader reads what it knows of a newer one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.bus.record_format import SCHEMA, UnreadableMessageError, decode, encode, key
from pullstudy.pulls.batch import Batch, Reject
from pullstudy.pulls.kind import Record
from pullstudy.pulls.record import PullRecord
from tests.store.records import any_record, gap, milestone, pull, reject


def _is_utf8(record: msgspec.Struct) -> bool:
    texts = [value for name in record.__struct_fields__ if isinstance(value := getattr(record, name), str)]
    return not any("\ud800" <= character <= "\udfff" for text in texts for character in text)


@given(any_record.filter(_is_utf8))
def test_any_record_is_read_back_from_its_message(record: Record) -> None:
    assert decode(encode(record)) == record


def test_a_message_is_flat_json_with_schema_and_kind_first() -> None:
    value = json.loads(encode(pull(node="n", pull_seconds=1.5)))
    assert list(value)[:2] == ["schema", "kind"]
    assert (value["schema"], value["kind"], value["node"], value["pull_seconds"]) == (SCHEMA, "pull", "n", 1.5)
    assert set(value) - {"schema", "kind"} == set(PullRecord.__struct_fields__)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.integers(1, 9),
    st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), json_values, min_size=1, max_size=4),
)
def test_what_a_newer_schema_added_does_not_keep_the_rest_from_being_read(schema: int, newer: dict[str, Any]) -> None:
    known = {"schema", "kind", *PullRecord.__struct_fields__}
    newer = {name: value for name, value in newer.items() if name not in known}
    written = {**json.loads(encode(pull())), **newer, "schema": schema}
    assert decode(json.dumps(written).encode()) == pull()


def test_a_column_that_an_older_writer_did_not_have_reads_as_unknown() -> None:
    value = {name: text for name, text in json.loads(encode(pull())).items() if name != "digest"}
    assert decode(json.dumps(value).encode()) == pull()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00\x01",
        b"{",
        b"[]",
        b"null",
        b'{"kind":"pull"}',
        b'{"schema":1}',
        b'{"schema":1,"kind":"pull"}',
        b'{"schema":2,"kind":"novelty"}',
        encode(pull()).replace(b'"pulled"', b'"teleported"'),
        encode(pull()).replace(b'"count":1', b'"count":"one"'),
        encode(pull()).replace(b'"event_uid":"u"', b'"event_uid":"\xff\xfe"'),
        encode(pull())[:-1] + b',"new":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda value: repr(value[-40:]),
)
def test_what_is_no_record_is_unreadable_and_says_why_in_one_line(value: bytes) -> None:
    with pytest.raises(UnreadableMessageError) as raised:
        decode(value)
    assert str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(value: bytes) -> None:
    with pytest.raises(UnreadableMessageError):
        decode(value)


def test_the_key_is_cluster_and_node_so_that_a_nodes_pulls_stay_in_order() -> None:
    assert key(pull(cluster="c", node="n")) == b"c/n"
    assert key(pull(cluster="c", node=None)) == b"c/"
    assert key(gap(cluster="c")) == b"c/"
    assert key(milestone(node="n")) == key(pull(node="n"))


def test_records_of_any_kinds_become_one_batch() -> None:
    batch = Batch(more=[gap(), pull("a"), reject(), milestone(), pull("b")])
    assert [record.event_uid for record in batch.pulls] == ["a", "b"]
    assert (len(batch.milestones), len(batch.rejects), len(batch.gaps)) == (1, 1, 1)


def test_a_reject_of_schema_1_has_no_time() -> None:
    older = b'{"schema":1,"kind":"reject","cluster":"c","source":"watch","position":"7","problem":"p","raw":"r"}'
    assert decode(older) == Reject(cluster="c", source="watch", position="7", problem="p", raw="r")
