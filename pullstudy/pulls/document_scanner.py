"""JSON documents found in a stream of bytes of any length, with the items of long lists given one by one.

It counts brackets and passes over strings, and holds no more than one item and what stands around the items. It does
not check JSON: whoever decodes what it gives does.
"""

import re
from collections.abc import Iterator

import msgspec

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
SHOWN_BYTES = 1000  # of what is too long or does not end


class Item(msgspec.Struct, frozen=True):
    """One object of the document's list: of its ``items``, or of an array that is the document."""

    text: bytes


class Document(msgspec.Struct, frozen=True):
    """A whole document. Where items of it were given, they are not in its text."""

    text: bytes
    items: int


class TooLong(msgspec.Struct, frozen=True):
    """An item, or a document without its items, of more bytes than may be held; it is passed over."""

    what: str
    limit: int
    beginning: bytes


Found = Item | Document | TooLong


class DocumentScanner:
    """Fed with the stream's bytes as they come, in parts cut anywhere. What is outside of brackets is passed over."""

    def __init__(self, item_bytes: int, document_bytes: int) -> None:
        self._item_bytes = item_bytes
        self._document_bytes = document_bytes
        self._open_brackets = bytearray()
        self._in_string = False
        self._carried = b""  # a backslash at the end of a part: what it escapes is in the next
        self._around = _Held(document_bytes)
        self._item: _Held | None = None
        self._item_depth = 0  # inside how many brackets items stand; 0 where no list of them is open
        self._items = 0

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
        data = self._carried + part
        self._carried = b""
        start = position = 0  # start: of what is not held yet
        while True:
            position = self._next_bracket(data, start, position)
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
            self._around.add(b"".join(_ARRAYS.findall(data, position, passed.end())))
        position = passed.end()
        if position == len(data):
            self._hold(data[start:])
            return -1
        if data[position] == _QUOTE:
            self._in_string = True
            self._carry(data, start, position + 1)
            return -1
        return position

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
        if self._item is None and self._item_depth and self._depth == self._item_depth and data[at] == _OPEN_OBJECT:
            self._item = _Held(self._item_bytes)
        elif data[at] == _OPEN_ARRAY and not self._item_depth and self._begins_items():
            self._hold_bracket(data[at : at + 1])
            self._open_brackets.append(data[at])
            self._item_depth = self._depth
            return at + 1
        if not self._depth:
            self._hold_bracket(data[at : at + 1])
            self._open_brackets.append(data[at])
            return at + 1
        self._open_brackets.append(data[at])
        return at

    def _hold_bracket(self, bracket: bytes) -> None:
        self._around.add(bracket)

    def _begins_items(self) -> bool:
        if self._depth == 0:
            return True
        return self._depth == 1 and _ITEMS_KEY.search(self._around.tail(_KEY_WINDOW)) is not None

    def _closed(self, data: bytes) -> Found | None:
        """A bracket closes, the last byte of the data."""
        if self._depth == self._item_depth and self._item is None:
            self._item_depth = 0
            data = data[-1:]
        self._hold(data)
        self._open_brackets.pop()
        if self._item is not None and self._depth == self._item_depth:
            item, self._item = self._item, None
            self._items += 1
            return Item(item.whole()) if item.fits else item.too_long("an item of a list")
        if self._depth == 0:
            return self._end_document()
        return None

    def _end_document(self) -> Found:
        around, items = self._around, self._items
        self._around, self._items = _Held(self._document_bytes), 0
        return Document(around.whole(), items) if around.fits else around.too_long("a JSON document")


class _Held:
    """Bytes up to a limit; of more than that, only the beginning."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self.fits = True

    def add(self, data: bytes) -> None:
        if not self.fits:
            return
        self._bytes += data
        if len(self._bytes) > self._limit:
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
