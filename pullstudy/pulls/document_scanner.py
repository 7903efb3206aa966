"""JSON documents found in a stream of bytes of any length, with the items of long lists given one by one.

It counts brackets and passes over strings, and holds no more than one item and what stands around the items. It does
not check JSON: whoever decodes what it gives does.

A document, or an item, that is too long to be held and in which an array is open is opened at its outermost one: from
there on the elements of that array are items. So it goes on with an element that is too long itself, to MOST_LEVELS.
"""

import re
from collections.abc import Iterator

import msgspec

from pullstudy.pulls.enclosed_event import may_enclose_event

# Possessive: a string whose end is not there must not be tried in other ways.
_STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_END = re.compile(_STRING, re.DOTALL)
_PLAIN = rb'[^{}\[\]"]++|"' + _STRING
_ARRAY, _OBJECT = rb"\[(?:" + _PLAIN + rb")*+\]", rb"\{(?:" + _PLAIN + rb")*+\}"  # with no bracket inside
_BETWEEN_BRACKETS = re.compile(rb"(?:" + _PLAIN + rb")*+", re.DOTALL)
_BETWEEN_ITEMS = re.compile(rb"(?:" + _PLAIN + rb"|" + _ARRAY + rb")*+", re.DOTALL)
_ARRAYS = re.compile(rb'"' + _STRING + rb"|(" + _ARRAY + rb")", re.DOTALL)
_INSIDE = re.compile(rb"(?:" + _PLAIN + rb"|" + _ARRAY + rb"|" + _OBJECT + rb")*+", re.DOTALL)
_ITEMS_KEY = re.compile(rb'"items"\s*:\s*\Z')
_QUOTE, _OPEN_OBJECT, _OPEN_ARRAY = b'"{['
_OPENING = b"{["
_KEY_WINDOW = 64  # bytes before a bracket that are looked at for the key "items"
_DEEPEST = 32
_MOST_PLACES = 64  # brackets that are open of which it is known where they stand
MOST_LEVELS = 8  # of arrays in arrays that are opened; OTLP's logs have three
_PARTS = 64  # of an item's bytes: so often it is looked at whether there are too many
SHOWN_BYTES = 1000  # of what is too long or does not end


class Item(msgspec.Struct, frozen=True):
    """One object of the document's list: of its ``items``, or of an array that is the document.

    ``enclosed``: an element of an array deeper inside, or what is left of one whose elements were given.
    """

    text: bytes
    enclosed: bool = False


class Document(msgspec.Struct, frozen=True):
    """A whole document. Where items of it were given, they are not in its text. ``opened``: because it is too long."""

    text: bytes
    items: int
    opened: bool = False


class TooLong(msgspec.Struct, frozen=True):
    """An item, or a document without its items, of more bytes than may be held; it is passed over."""

    what: str
    limit: int
    beginning: bytes


Found = Item | Document | TooLong


def part_bytes(item_bytes: int) -> int:
    """How many more may be held of a document before it is opened."""
    return max(item_bytes // _PARTS, 1)


class DocumentScanner:
    """Fed with the stream's bytes as they come, in parts cut anywhere. What is outside of brackets is passed over."""

    def __init__(self, item_bytes: int, document_bytes: int) -> None:
        self._item_bytes = item_bytes
        self._part_bytes = part_bytes(item_bytes)
        self._document_bytes = document_bytes
        self._open_brackets = bytearray()
        self._in_string = False
        self._carried = b""  # a backslash at the end of a part: what it escapes is in the next
        self._around = self._held(document_bytes)
        self._item: _Held | None = None
        self._item_depth = 0  # inside how many brackets items stand; 0 where no list of them is open
        self._items = 0
        self._places: list[int] = []  # of open brackets, in what is held of the item or else of the document
        self._levels: list[tuple[int, _Held | None]] = []  # item depth and item, outside of each array that was opened
        self._flat: list[Item] = []  # elements without a bracket inside, to be given

    @property
    def open(self) -> bool:
        """Whether a document has begun and not ended."""
        return self._depth > 0

    @property
    def _depth(self) -> int:
        return len(self._open_brackets)

    @property
    def in_array(self) -> bool:
        """Whether what comes next stands directly in an array, no deeper than objects of Kubernetes go."""
        return not self._in_string and self._depth <= _DEEPEST and self._open_brackets[-1:] == b"["

    @property
    def unfinished(self) -> bytes:
        """What is held of the item, or else of the document, that has not ended."""
        return (self._item or self._around).whole()

    def feed(self, part: bytes) -> Iterator[Found]:
        """What ends in this part."""
        for at in range(0, len(part), self._part_bytes):
            if self._is_too_long():
                yield from self._open_array()
            yield from self._feed(part[at : at + self._part_bytes])

    def _feed(self, part: bytes) -> Iterator[Found]:
        data = self._carried + part
        self._carried = b""
        start = position = 0  # start: of what is not held yet
        while True:
            position = self._next_bracket(data, start, position)
            if self._flat:
                yield from self._flat
                self._flat = []
            if position < 0:
                return
            if data[position] in _OPENING:
                start = self._opened(data, start, position)
            else:
                found = self._closed(data[start : position + 1])
                start = position + 1
                if found is not None:
                    yield found
            position += 1

    def _next_bracket(self, data: bytes, start: int, position: int) -> int:
        """Where it is; -1 where the data ends before, which is held then."""
        if not self._depth:  # quotes before a document belong to no string of it
            # find() passes over a gigabyte of nothing ten times as fast as a pattern does.
            found = [at for at in (data.find(b"{", position), data.find(b"[", position)) if at >= 0]
            return min(found, default=-1)
        if self._in_string:
            ended = _STRING_END.match(data, position)
            if ended is None:
                self._carry(data, start, position)
                return -1
            position, self._in_string = ended.end(), False
        passed = self._passable().match(data, position)
        assert passed is not None  # it matches nothing, too
        if passed.re is _BETWEEN_ITEMS:
            self._take_flat(_ARRAYS.findall(data, position, passed.end()))
        position = passed.end()
        if position == len(data):
            self._hold(data[start:])
            return -1
        if data[position] == _QUOTE:
            self._in_string = True
            self._carry(data, start, position + 1)
            return -1
        return position

    def _take_flat(self, arrays: list[bytes]) -> None:
        """Arrays between items, without brackets inside."""
        if self._levels:
            self._flat += [Item(array, enclosed=True) for array in arrays if may_enclose_event(array)]
        else:
            self._around.add(b"".join(arrays))

    def _is_too_long(self) -> bool:
        if self._item is not None:
            return self._item.size > self._item_bytes
        around = self._around
        if self._item_depth or around.size <= self._item_bytes:
            return False
        return around.size > self._document_bytes or around.encloses_event()

    def _open_array(self) -> Iterator[Found]:
        """Where an array is open in what is held: its elements that are whole, and from now on those that come."""
        held, depth = (self._around, 0) if self._item is None else (self._item, self._item_depth)
        array = self._open_brackets.find(b"[", depth, len(self._places))
        if array < 0 or len(self._levels) >= MOST_LEVELS or not held.fits:
            return
        self._levels.append((self._item_depth, self._item))
        inner = DocumentScanner(self._item_bytes + 4 * self._part_bytes, self._document_bytes)
        inner._levels = self._levels
        yield from inner.feed(held.cut(self._places[array]))
        self._item, self._item_depth = inner._item, array + 1
        self._places[array + 1 :] = inner._places[1:]

    def _passable(self) -> re.Pattern[bytes]:
        """What holds no bracket that matters here: a million empty arrays are no million steps."""
        if self._item is not None:
            return _INSIDE
        if self._depth == self._item_depth:
            return _BETWEEN_ITEMS
        return _INSIDE if self._depth > 1 else _BETWEEN_BRACKETS  # at 1 an array may be the document's items

    def _carry(self, data: bytes, start: int, position: int) -> None:
        """Hold what there is of a string; an escape stays whole."""
        backslashes = len(data) - len(data[position:].rstrip(b"\\")) - position
        end = len(data) - backslashes % 2
        self._hold(data[start:end])
        self._carried = data[end:]

    def _hold(self, data: bytes) -> None:
        if self._item is not None:
            self._item.add(data)
        elif self._depth and self._depth != self._item_depth:  # between items stand commas
            self._around.add(data)

    def _opened(self, data: bytes, start: int, at: int) -> int:
        """A bracket opens; from where on bytes are not held yet."""
        self._hold(data[start:at])
        if self._item is None and self._item_depth and self._depth == self._item_depth and self._begins_item(data[at]):
            self._item = self._held(self._item_bytes)
        elif data[at] == _OPEN_ARRAY and not self._item_depth and self._begins_items():
            self._push(data[at])
            self._around.add(data[at : at + 1])
            self._item_depth = self._depth
            return at + 1
        self._push(data[at])
        if self._depth == 1:
            self._around.add(data[at : at + 1])
            return at + 1
        return at

    def _push(self, bracket: int) -> None:
        if self._depth < _MOST_PLACES:
            self._places.append((self._around if self._item is None else self._item).size)
        self._open_brackets.append(bracket)

    def _begins_item(self, bracket: int) -> bool:
        return bracket == _OPEN_OBJECT or bool(self._levels)

    def _begins_items(self) -> bool:
        if self._depth == 0:
            return True
        return self._depth == 1 and _ITEMS_KEY.search(self._around.tail(_KEY_WINDOW)) is not None

    def _closed(self, data: bytes) -> Found | None:
        """A bracket closes, the last byte of the data."""
        if self._depth == self._item_depth and self._item is None:
            self._item_depth, self._item = self._levels.pop() if self._levels else (0, None)
            data = data[-1:]
        self._hold(data)
        self._open_brackets.pop()
        del self._places[self._depth :]
        if self._item is not None and self._depth == self._item_depth:
            item, self._item = self._item, None
            self._items += 1
            enclosed = item.opened or bool(self._levels)
            return Item(item.whole(), enclosed) if item.fits_well else item.too_long("an item of a list")
        if self._depth == 0:
            return self._end_document()
        return None

    def _end_document(self) -> Found:
        around, items = self._around, self._items
        self._around, self._items = self._held(self._document_bytes), 0
        if around.fits_well:
            return Document(around.whole(), items, around.opened)
        return around.too_long("a JSON document")

    def _held(self, limit: int) -> "_Held":
        return _Held(limit, 2 * self._part_bytes)


class _Held:
    """Bytes up to a limit, and a part over it; of more than that, only the beginning."""

    def __init__(self, limit: int, slack: int) -> None:
        self._limit = limit
        self._slack = slack
        self._bytes = bytearray()
        self._looked_at = 0
        self._encloses_event = False
        self.fits = True
        self.opened = False

    @property
    def size(self) -> int:
        return len(self._bytes)

    @property
    def fits_well(self) -> bool:
        """Whether it is no longer than the limit."""
        return self.fits and len(self._bytes) <= self._limit

    def encloses_event(self) -> bool:
        """Whether there may be one in it."""
        if not self._encloses_event:
            self._encloses_event = may_enclose_event(bytes(self._bytes[max(self._looked_at - _KEY_WINDOW, 0) :]))
            self._looked_at = len(self._bytes)
        return self._encloses_event

    def cut(self, place: int) -> bytes:
        """All from that bracket on, which is left out from now on, but for the bracket."""
        taken = bytes(self._bytes[place:])
        del self._bytes[place + 1 :]
        self.opened, self._looked_at, self._encloses_event = True, 0, False
        return taken

    def add(self, data: bytes) -> None:
        if not self.fits:
            return
        self._bytes += data
        if len(self._bytes) > self._limit + self._slack:
            self.fits = False
            self._bytes = self._bytes[:SHOWN_BYTES]

    def tail(self, count: int) -> bytes:
        return bytes(self._bytes[-count:])

    @property
    def beginning(self) -> bytes:
        return bytes(self._bytes[:SHOWN_BYTES])

    def whole(self) -> bytes:
        return bytes(self._bytes)

    def too_long(self, what: str) -> TooLong:
        return TooLong(what, self._limit, self.beginning)
