"""What others read of a message without this project: its headers, its schema."""

import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from pullstudy.bus.cloud_event import headers
from pullstudy.bus.record_format import encode
from pullstudy.pulls.kind import Record
from pullstudy.pulls.kinds import KINDS
from pullstudy.pulls.record import Outcome
from tests.bus.test_record_format import _is_utf8
from tests.message_schema import PATH, text
from tests.store.records import any_record, pull

CHECK = Draft202012Validator(json.loads(PATH.read_text()), format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_published_schema_is_that_of_the_table_of_kinds() -> None:
    assert PATH.read_text() == text(), "write it anew: python -m tests.message_schema"


@given(any_record.filter(_is_utf8))
def test_every_message_is_of_the_published_schema(record: Record) -> None:
    CHECK.validate(json.loads(encode(record)))


@pytest.mark.parametrize("wrong", [{"kind": "push"}, {"outcome": "eaten"}, {"cluster": None}, {"count": "1"}])
def test_what_is_no_message_is_not_of_the_schema(wrong: dict[str, Any]) -> None:
    assert not CHECK.is_valid({**json.loads(encode(pull())), **wrong})


def test_a_message_names_itself_as_a_cloud_event() -> None:
    told = dict(headers(pull(cluster="my lab", outcome=Outcome.PULLED)))
    assert told["ce_specversion"] == b"1.0"
    assert (told["ce_type"], told["ce_source"]) == (b"pullstudy.pull", b"/clusters/my%20lab")
    assert told["content-type"] == b"application/json"


@given(any_record.filter(_is_utf8), any_record.filter(_is_utf8))
def test_its_id_is_that_of_the_record_however_often_it_is_seen(one: Record, other: Record) -> None:
    assert headers(one) == headers(one)
    same = (headers(one)[1:4] == headers(other)[1:4]) if type(one) is type(other) else False
    assert same == (type(one) is type(other) and _identity(one) == _identity(other))


def _identity(record: Record) -> tuple[object, ...]:
    (kind,) = (each for each in KINDS if each.struct is type(record))
    return tuple(str(getattr(record, name)) for name in kind.identity)
