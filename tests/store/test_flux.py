"""Text in a query is text, and the rows of an answer are what was stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.store.influx.flux import literal, read_rows
from pullstudy.store.protocol import StoreError


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", '"plain"'),
        ('a" or true', r'"a\" or true"'),
        ("${secret}", r'"\x24{secret}"'),
        ("back\\slash\n", r'"back\\slash\n"'),
    ],
)
def test_text_becomes_a_literal_that_holds_no_code(text: str, written: str) -> None:
    assert literal(text) == written


@given(st.text())
def test_no_text_ends_its_own_literal(text: str) -> None:
    inner = literal(text)[1:-1]
    rest = inner.replace("\\\\", "").replace('\\"', "")
    assert '"' not in rest
    assert "$" not in rest
    assert "\n" not in rest


def test_each_table_has_a_header_of_its_own() -> None:
    lines = [",result,a\r\n", ",_result,1\r\n", "\r\n", ",result,b,a\r\n", ",_result,x,2\r\n", "\r\n"]
    assert [(row.get("a"), row.get("b")) for row in read_rows(lines)] == [("1", None), ("2", "x")]


def test_a_newline_that_was_stored_comes_back_as_it_was() -> None:
    assert [row["a"] for row in read_rows(["a\r\n", '"two\r\n', 'lines"\r\n'])] == ["two\nlines"]


def test_an_error_in_the_middle_of_an_answer_is_raised_and_is_no_row() -> None:
    lines = ["a\r\n", "1\r\n", "\r\n", "error,reference\r\n", "query terminated: out of memory,897\r\n"]
    rows = read_rows(lines)
    assert next(rows)["a"] == "1"
    with pytest.raises(StoreError, match="out of memory"):
        next(rows)
