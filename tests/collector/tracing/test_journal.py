"""Spans on disk: what was acknowledged is there after a kill, and what waits no more is deleted."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.errors import DataDirectoryError, SpoolFullError
from collector.tracing.journal import SEGMENT_BYTES, SpanJournal
from pullstudy.pulls.spans.span import Span
from tests.pulls.spans.samples import pull_spans

SPANS = list(pull_spans("g9"))


def kept(journal: SpanJournal, damaged: list[int] | None = None) -> list[Span]:
    """What it has; ``damaged`` becomes the bytes that cannot be read, which without it there are none of."""
    found: list[int] = []
    spans = [span for _, some in journal.read(lambda path, size: found.append(size)) for span in some]
    if damaged is None:
        assert found == []
    else:
        damaged += found
    return spans


def test_what_was_appended_is_read_by_the_next_one_and_segments_go_when_nothing_in_them_waits(tmp_path: Path) -> None:
    first = SpanJournal(tmp_path / "spans" / "c")
    assert first.append(SPANS[:20]) == first.append(SPANS[20:]) == 1
    again = SpanJournal(tmp_path / "spans" / "c")  # the first was killed: nobody closed it
    assert kept(again) == SPANS
    assert again.append(SPANS[:1]) == 2
    again.claim(2)
    assert again.idle({1}) == []  # it is appended to
    assert again.idle(set()) == [1]
    assert again.delete([1]) > 0
    assert kept(SpanJournal(tmp_path / "spans" / "c")) == SPANS[:1]


def test_a_segment_whose_spans_nobody_waits_for_yet_is_not_idle(tmp_path: Path) -> None:
    journal = SpanJournal(tmp_path)
    journal.append(SPANS)
    journal.close()
    assert journal.idle(set()) == []
    journal.claim(1)
    assert journal.idle(set()) == [1]


def test_segments_are_closed_at_their_size(tmp_path: Path) -> None:
    journal = SpanJournal(tmp_path)
    one = 0
    while journal.size_bytes <= SEGMENT_BYTES:
        one = journal.append(SPANS * 40)
    assert one == 2
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= SEGMENT_BYTES


@pytest.mark.parametrize("cut", [1, 9, 200])
def test_a_frame_that_a_kill_left_unfinished_is_passed_over(tmp_path: Path, cut: int) -> None:
    journal = SpanJournal(tmp_path)
    journal.append(SPANS[:20])
    journal.append(SPANS[20:])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    assert kept(SpanJournal(tmp_path)) == SPANS[:20]


def test_a_damaged_frame_is_told_and_those_behind_it_are_read(tmp_path: Path) -> None:
    journal = SpanJournal(tmp_path)
    journal.append(SPANS[:20])
    first = journal.size_bytes
    journal.append(SPANS[20:])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:50] + b"?" + path.read_bytes()[51:])
    damaged: list[int] = []
    assert kept(SpanJournal(tmp_path), damaged) == SPANS[20:]
    assert damaged == [first]


@pytest.fixture
def limited() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may become: a disk that takes the beginning of what is written, and no more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_half_a_frame_that_a_full_disk_left_hides_nothing_that_is_acknowledged(
    tmp_path: Path, limited: Callable[[int], None]
) -> None:
    journal = SpanJournal(tmp_path)
    journal.append(SPANS[:10])
    limited(journal.size_bytes + 100)
    with pytest.raises(SpoolFullError):
        journal.append(SPANS[10:20])
    limited(resource.RLIM_INFINITY)
    assert journal.append(SPANS[20:]) == 2
    assert journal.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert kept(SpanJournal(tmp_path)) == SPANS[:10] + SPANS[20:]


def test_a_directory_that_cannot_be_used_and_a_disk_without_room_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        SpanJournal(tmp_path / "file")
    journal = SpanJournal(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SpoolFullError, match="no room"):
        journal.append(SPANS)
