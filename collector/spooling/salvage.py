"""What is whole in a segment, and what is not: each frame whose checksum holds and whose number fits, wherever it is.

After a damaged frame comes the one that its length leads to, if that is the next but one; else the segment is searched.
Pure: it reads bytes, and changes nothing.
"""

from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from collector.spooling.frame import HEAD_BYTES, Entry, frame_end, read_frame

Data = bytes | mmap
_BEGINNING = b"\xa6number"  # of every payload, of all layouts, behind the byte that counts its fields
_END = b"\xa6layout"  # of every payload, before the byte with the layout
_FROM_FRAME = HEAD_BYTES + 1  # to the beginning


class Whole(NamedTuple):
    """A frame, by where it stands."""

    entry: Entry
    start: int
    end: int


class Damage(NamedTuple):
    """Bytes that are no frame, or none at all where entries are missing between two frames."""

    start: int
    end: int
    first: int  # the numbers of the entries that are gone and were not stored; none where last is before it
    last: int

    @property
    def lost(self) -> int:
        return self.last - self.first + 1


def examine(data: Data, before: int, acknowledged: int, last: int | None) -> Iterator[Whole | Damage]:
    """All of a segment, in order.

    before: the number before its first entry; last: that of its last, None where it is not known.
    acknowledged: up to it entries may be missing. Raises LayoutError.
    """
    most = max(before, acknowledged) + len(data) + 1 if last is None else last
    end, number = 0, before
    for whole in _whole_frames(data, before, most):
        due = max(number, acknowledged) + 1
        first = whole.entry.number - whole.entry.replaces
        if whole.start > end or first > due:
            yield Damage(end, whole.start, due, first - 1)
        yield whole
        end, number = whole.end, whole.entry.number
    due = max(number, acknowledged) + 1
    if end < len(data) or (last is not None and last >= due):
        yield Damage(end, len(data), due, due if last is None else last)


def is_torn(data: Data, start: int) -> bool:
    """Whether the bytes from there on are the beginning of a frame, as a kill leaves it: its entry was never taken."""
    here = len(data) - start
    if here <= HEAD_BYTES:
        return True
    beginning = data[start + _FROM_FRAME : start + _FROM_FRAME + len(_BEGINNING)]
    whole = data[-len(_END) - 1 : -1] == _END  # nothing but its length is damaged
    return frame_end(memoryview(data), start) > len(data) and _BEGINNING.startswith(beginning) and not whole


def _whole_frames(data: Data, before: int, most: int) -> Iterator[Whole]:
    view = memoryview(data)
    offset: int | None = 0
    number = before
    while offset is not None and offset < len(data):
        whole = _frame(view, offset, number, most)
        if whole is None:
            offset = _next_frame(data, view, offset, number, most)
            continue
        yield whole
        offset, number = whole.end, whole.entry.number


def _frame(view: memoryview, offset: int, before: int, most: int) -> Whole | None:
    found = read_frame(view, offset)
    if found is None or not before < found[0].number <= most:
        return None
    return Whole(found[0], offset, found[1])


def _next_frame(data: Data, view: memoryview, offset: int, before: int, most: int) -> int | None:
    """Where the next whole frame begins; None where there is none."""
    # A text in a damaged record can look like a frame: the length is believed before the search.
    if offset + HEAD_BYTES <= len(data):
        following = frame_end(view, offset)
        whole = _frame(view, following, before, most) if following < len(data) else None
        if whole is not None and whole.entry.number == before + 2:
            return following
    found = data.find(_BEGINNING, offset + 1)
    while found >= 0:
        start = found - _FROM_FRAME
        if start > offset and _may_be_frame(data, view, start) and _frame(view, start, before, most) is not None:
            return start
        found = data.find(_BEGINNING, found + 1)
    return None


def _may_be_frame(data: Data, view: memoryview, start: int) -> bool:
    # Its checksum takes time: many texts that look like its beginning would take hours.
    end = frame_end(view, start)
    return end <= len(data) and data[end - len(_END) - 1 : end - 1] == _END
