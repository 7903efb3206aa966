"""Lines of a watch, however its bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.kube import lines
from pullstudy.kube.lines import LineSplitter, LineTooLongError


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line)), st.lists(st.integers(1, 9), min_size=1))
def test_lines_are_the_same_however_the_bytes_are_cut(whole: list[bytes], sizes: list[int]) -> None:
    data = b"".join(line + b"\n" for line in whole) + b"rest"
    splitter = LineSplitter()
    found: list[bytes] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        turn += 1
        found += splitter.feed(data[:size])
        data = data[size:]
    assert found == [line for line in whole if line]
    assert splitter.rest() == b"rest"


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_BYTES", 10)
    splitter = LineSplitter()
    splitter.feed(b"1234567890")
    with pytest.raises(LineTooLongError):
        splitter.feed(b"1")
