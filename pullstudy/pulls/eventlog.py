"""Event logs, read line by line: what an exporter, ``kubectl get events`` or a watch wrote.

The forms: one event a line (the exporter's log, with the exporter's own lines between), one watch line a line,
a ``kubectl get events -o json`` List, and JSON documents over several lines one after the other
(``kubectl get events --watch -o json``), and any other layout of such JSON. An event may be inside of something else
(pullstudy/pulls/enclosed_event.py). A line may carry a prefix such as a timestamp before its JSON.
Whatever cannot be read is a finding with its line number, and the rest is read on. No more is held at a time than
ReadingLimits say, however long a line, a list or a document is.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from pullstudy.pulls.described_pod import BEGINS, NO_POD, NO_TABLE, NO_TIME, DescribedEvent, DescribedPod
from pullstudy.pulls.document_scanner import Document, DocumentScanner, Found, Item, TooLong, part_bytes
from pullstudy.pulls.enclosed_event import enclosed_events, may_enclose_event
from pullstudy.pulls.event import UNREADABLE, Event, decode_event_json
from pullstudy.pulls.event_table import HEADER, NO_NAMES, EventTable


@dataclass(frozen=True)
class ReadingLimits:
    """How much of a log is held at a time."""

    line_bytes: int = 1 << 20  # of a line, and of a document over lines, that is decoded as a whole; longer: in parts
    item_bytes: int = 4 << 20  # of one object: etcd takes 1.5 MiB (--max-request-bytes), some more when written as JSON
    document_bytes: int = 32 << 20  # of a document without its items: 100,000 layers of image manifests
    barren_bytes: int = 2 << 30  # of one line or document without anything in it: then it has no end, as /dev/zero


LIMITS = ReadingLimits()


class LinePart(bytes):
    """A part of a line that is too long to be held. The last one ends in a newline, or ends the log."""

    __slots__ = ()


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event, where it stood, and its text."""

    line: int
    event: Event
    raw: bytes
    resolution_seconds: float | None = None  # how fine its times are, where an age told them


class ExporterLine(msgspec.Struct, frozen=True):
    """A line that the exporter logged about itself, and its text."""

    line: int
    message: str
    raw: bytes


class UnreadableLine(msgspec.Struct, frozen=True):
    """A line, or a document that begins there, that is none of the forms."""

    line: int
    problem: str
    raw: bytes


class OtherDocument(msgspec.Struct, frozen=True):
    """A JSON document that is whole and no event: nodes, manifests, pods. Of a long list, one of its items."""

    line: int
    raw: bytes

    @property
    def value(self) -> Any:
        """Decoded. Raises what UNREADABLE names."""
        return msgspec.json.decode(self.raw)


LogItem = LoggedEvent | ExporterLine | UnreadableLine | OtherDocument


class BarrenError(ValueError):
    """A line or document of so many bytes with nothing in it that no end is to be expected."""

    def __init__(self, line: int, limit: int) -> None:
        super().__init__(f"line {line} goes on for {limit >> 20} MiB with nothing in it that can be read")
        self.line = line


_WATCH_TYPES = {"ADDED", "MODIFIED", "DELETED"}
_SHOWN_BYTES = 1000  # of a line that is too long
_FEED_BYTES = 1 << 16  # the scanner is fed with so many lines at a time
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
_LIST = re.compile(rb"\[\s*\{")
_NUMBERED = re.compile(rb"\[\s*\d[\d.]*\s*,\s*\{")  # Fluent Bit's time, and what was logged
_DESCRIBED_LINES = 200
_AUDIT = "audit.k8s.io/"
_GOES_ON = (b",", b"[", b"{", b":")  # ends a line in the middle of a document
_WENT_ON = (b",", b"]", b"}", b'"', b":")  # begins one
_MOST_STARTS = 64  # places in a broken line where a whole object is looked for


class _Shape(msgspec.Struct):
    """Just enough of a JSON object to tell which of the forms it is."""

    kind: str | None = None
    api_version: str | None = msgspec.field(name="apiVersion", default=None)
    type: str | None = None
    level: str | None = None
    reason: msgspec.Raw = msgspec.Raw()
    message: str | msgspec.Raw | None = None
    object: msgspec.Raw = msgspec.Raw()
    items: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()
    involved: msgspec.Raw = msgspec.field(name="involvedObject", default=msgspec.Raw())
    regarding: msgspec.Raw = msgspec.Raw()


_shape = msgspec.json.Decoder(_Shape).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_log(
    lines: Iterable[bytes], limits: ReadingLimits = LIMITS, *, as_of: datetime | None = None
) -> Iterator[LogItem]:
    """The items of a log, in its order; numbers of lines start at 1. ``as_of`` is when kubectl described its pods.

    Of a line over ``limits.line_bytes`` the lines' maker gives LineParts. Raises BarrenError.
    """
    numbered = _Lines(lines)
    for number, line in numbered:
        text = line.strip()
        if isinstance(line, LinePart):
            yield from _read_long_line(number, line, numbered, limits)
        elif text in (b"{", b"["):
            yield from _read_document(number, line, numbered, limits)
        elif HEADER.match(line):
            yield from _read_table(number, line, numbered, limits)
        elif BEGINS.match(line):
            yield from _read_described(number, line, numbered, as_of)
        elif text:
            yield from _read_line(number, line, text, numbered, limits)


class _Lines:
    """Lines and their numbers; all parts of a line have one. A line can be put back.

    ``begun`` tells of the last one whether it is a line, or the first part of one.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._number = 0
        self._goes_on = False
        self._put_back: tuple[int, bytes] | None = None
        self.begun = True

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self

    def __next__(self) -> tuple[int, bytes]:
        if self._put_back is not None:
            back, self._put_back = self._put_back, None
            return back
        line = next(self._lines)
        while line == b"\n":
            self._number += not self._goes_on
            self._goes_on = False
            line = next(self._lines)
        part = isinstance(line, LinePart)
        self.begun = not (self._goes_on and part)
        self._number += self.begun
        self._goes_on = part and not line.endswith(b"\n")
        return self._number, line

    def goes_on(self) -> bool:
        """Whether the next line can only be the middle or the end of a document."""
        following = next(self, None)
        if following is None:
            return False
        self.put_back(*following)
        return following[1].lstrip().startswith(_WENT_ON)

    def put_back(self, number: int, line: bytes) -> None:
        self._put_back = number, line

    def at_the_margin(self, line: bytes, brackets: tuple[bytes, bytes]) -> bool:
        """Whether the last line begins with one of them: in a document over lines, only the outermost stand there."""
        return self.begun and line.startswith(brackets)


def _read_line(number: int, line: bytes, text: bytes, rest: _Lines, limits: ReadingLimits) -> Iterator[LogItem]:
    if _NUMBERED.match(text) and text.endswith(b"]"):
        text = text[text.find(b"{") : -1]
    is_list = _LIST.match(text) is not None
    start = 0 if is_list else text.find(b"{")
    if start < 0:
        yield UnreadableLine(number, "no JSON object on this line", text)
    elif _is_whole(text[start:]):
        yield from _read_items(number, text, limits) if is_list else _read_object(number, text[start:], text, limits)
    elif start == 0 and (text.endswith(_GOES_ON) or rest.goes_on()):
        yield from _read_long_document(number, [line], rest, limits)
    else:
        yield from _read_broken_line(number, text[start:], text, limits)


def _read_table(number: int, header: bytes, rest: _Lines, limits: ReadingLimits) -> Iterator[LogItem]:
    table = EventTable(header)
    if not table.readable:
        yield UnreadableLine(number, NO_NAMES, header)
    for at, line in rest:
        if line.startswith(_OPENING) or HEADER.match(line):
            rest.put_back(at, line)
            return
        event = table.event(line) if table.readable else None
        if event is not None:
            yield from _read_object(at, event, line, limits)
        elif table.readable and line.strip():
            yield UnreadableLine(at, "no row of the table of events above", line)


def _read_described(number: int, first: bytes, rest: _Lines, as_of: datetime | None) -> Iterator[LogItem]:
    """``kubectl describe``, up to where JSON begins; where its time is known, up to the next object too."""
    held, pod = [first], DescribedPod(as_of) if as_of is not None else None
    if pod is not None:
        pod.add(number, first)
    for at, line in rest:
        if line.startswith(_OPENING) or HEADER.match(line) or (pod is not None and BEGINS.match(line)):
            rest.put_back(at, line)
            break
        if len(held) < _DESCRIBED_LINES:
            held.append(line[:_SHOWN_BYTES])
        if pod is not None and (event := pod.add(at, line)) is not None:
            yield _described_event(event)
    if pod is not None and (event := pod.end()) is not None:
        yield _described_event(event)
    problem = NO_TIME if pod is None else NO_POD if not pod.is_pod else NO_TABLE if not pod.reads_events else None
    if problem is not None:
        yield UnreadableLine(number, problem, b"".join(held))


def _described_event(event: DescribedEvent) -> LoggedEvent:
    return LoggedEvent(event.line, event.event, event.text, event.resolution_seconds)


def _is_whole(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True


def _read_broken_line(number: int, text: bytes, raw: bytes, limits: ReadingLimits) -> Iterator[LogItem]:
    """Of several documents each; of one that breaks off, with a whole one behind it, that one."""
    stream = _Stream(number, limits)
    items = list(stream.read(text))
    if len(items) > 1 and not stream.open:
        yield from items
        return
    at = 0
    for _ in range(_MOST_STARTS):
        at = text.find(b'{"', at + 1)
        if at < 0:
            break
        if _is_whole(text[at:]):
            yield UnreadableLine(number, "a JSON document that breaks off before another one", text[:at])
            yield from _read_object(number, text[at:], text[at:], limits)
            return
    yield from _read_object(number, text, raw, limits)


def _read_long_line(number: int, part: bytes, rest: _Lines, limits: ReadingLimits) -> Iterator[LogItem]:
    """The documents of a line that is held in parts; what is outside of them is passed over."""
    stream = _Stream(number, limits)
    first = part
    while True:
        yield from stream.read(part)
        if part.endswith(b"\n"):
            break
        following = next(rest, None)
        if following is None or following[0] != number:
            if following is not None:
                rest.put_back(*following)
            break
        part = following[1]
    if stream.open:
        yield from stream.cut_off()
    elif not stream.gave:
        yield UnreadableLine(number, "no JSON object on this long line", first[:_SHOWN_BYTES].strip())


def _read_document(number: int, first: bytes, rest: _Lines, limits: ReadingLimits) -> Iterator[LogItem]:
    """A document over several lines. It ends at the line where its outermost bracket closes at the margin."""
    closing = b"}" if first.strip() == b"{" else b"]"
    parts, held = [first], len(first)
    for at, line in rest:
        if len(parts) == 1 and not line[:1].isspace():
            rest.put_back(at, line)  # without an indent the margin tells nothing
            break
        closes = rest.at_the_margin(line, _CLOSING) and line.rstrip() != closing  # with something behind it
        if closes or rest.at_the_margin(line, _OPENING) or held > limits.line_bytes:
            rest.put_back(at, line)
            break
        parts.append(line)
        held += len(line)
        if line.rstrip() == closing and not isinstance(line, LinePart):
            whole = b"".join(parts)
            yield from (
                _read_items(number, whole, limits) if closing == b"]" else _read_object(number, whole, whole, limits)
            )
            return
    yield from _read_long_document(number, parts, rest, limits)


def _read_long_document(number: int, parts: list[bytes], rest: _Lines, limits: ReadingLimits) -> Iterator[LogItem]:
    """The same for one that is too long to be held, or does not end: its items one by one, then what is around them."""
    stream = _Stream(number, limits)
    yield from stream.read(b"".join(parts))
    indented, last = len(parts) > 1, parts[-1]
    waiting: list[bytes] = []
    held = 0
    for at, line in rest if stream.open else ():
        if rest.at_the_margin(line, _OPENING):
            yield from stream.read(b"".join(waiting))
            waiting, held = [], 0
            if indented or not (stream.in_array and last.rstrip().endswith((b",", b"["))):
                rest.put_back(at, line)
                break
        waiting.append(line)
        last = line
        held += len(line)
        if held >= _FEED_BYTES or rest.at_the_margin(line, _CLOSING):
            yield from stream.read(b"".join(waiting))
            waiting, held = [], 0
            if not stream.open:
                return
    yield from stream.read(b"".join(waiting))
    if stream.open:
        yield from stream.cut_off()


class _Stream:
    """Documents that are read while they come in."""

    def __init__(self, number: int, limits: ReadingLimits) -> None:
        self._number = number
        self._limits = limits
        self._scanner = DocumentScanner(limits.item_bytes, limits.document_bytes)
        self._barren = 0
        self._found_events = False  # in a document that was opened
        self.gave = False  # anything

    @property
    def open(self) -> bool:
        return self._scanner.open

    @property
    def in_array(self) -> bool:
        return self._scanner.in_array

    def read(self, part: bytes) -> Iterator[LogItem]:
        """Raises BarrenError."""
        self._barren += len(part)
        for found in self._scanner.feed(part):
            self._barren = 0
            self.gave = True
            yield from self._read(found)
        if self._barren > self._limits.barren_bytes:
            raise BarrenError(self._number, self._limits.barren_bytes)

    def _read(self, found: Found) -> Iterator[LogItem]:
        match found:
            case Item(text=text, enclosed=True) | Document(text=text, opened=True):
                yield from self._read_enclosed(text, ended=isinstance(found, Document))
            case Item(text=text) | Document(text=text):
                yield from self._read_lines_of_broken(text)
                if not (isinstance(found, Document) and found.items):
                    yield from _read_object(self._number, text, text, self._limits)
            case TooLong(what=what, limit=limit, beginning=beginning):
                yield UnreadableLine(self._number, f"{what} of more than {limit >> 20} MiB", beginning)

    def _read_enclosed(self, text: bytes, *, ended: bool) -> Iterator[LogItem]:
        """Of a document that is too long to be held: what in it is no event belongs to its envelope."""
        if may_enclose_event(text):
            for item in _read_enclosed_object(self._number, text, self._limits):
                self._found_events |= isinstance(item, LoggedEvent)
                if not isinstance(item, OtherDocument | ExporterLine):
                    yield item
        if ended:
            if not self._found_events:
                problem = f"a document of more than {self._limits.item_bytes >> 20} MiB without an event in its arrays"
                yield UnreadableLine(self._number, problem, text[:_SHOWN_BYTES])
            self._found_events = False

    def _read_lines_of_broken(self, text: bytes) -> Iterator[LogItem]:
        """The lines of a text that is no JSON that are whole objects: a log's, which a stray bracket swallowed."""
        if b"\n{" not in text or _is_whole(text):
            return
        for line in text.split(b"\n"):
            line = line.strip().rstrip(b",")
            if line.startswith(b"{") and _is_whole(line):
                yield from _read_object(self._number, line, line, self._limits)

    def cut_off(self) -> Iterator[LogItem]:
        """What a document holds that does not end, and that it does not."""
        yield from self._read_lines_of_broken(self._scanner.unfinished)
        shown = self._scanner.unfinished[:_SHOWN_BYTES]
        yield UnreadableLine(self._number, "a JSON document that begins here does not end", shown)


def _read_object(number: int, text: bytes, raw: bytes, limits: ReadingLimits) -> Iterator[LogItem]:
    try:
        shape = _shape(text)
        if shape.items and (shape.kind is None or shape.kind.endswith("List")):
            yield from _read_list(number, shape, text, limits)
        elif shape.type in _WATCH_TYPES and shape.object:
            # A DELETED event tells again what it told when it was made.
            yield LoggedEvent(number, decode_event_json(shape.object), bytes(shape.object))
        elif shape.involved or shape.regarding:
            yield LoggedEvent(number, decode_event_json(text), text)
        elif shape.kind == "Event" and (shape.api_version or "").startswith(_AUDIT):
            yield UnreadableLine(number, "an entry of the API server's audit log, not an event", raw)
        elif may_enclose_event(text):
            yield from _read_enclosing(number, text, limits)
        elif shape.level is not None and not shape.metadata:
            yield _read_leveled(number, shape, text)
        else:
            yield OtherDocument(number, text)
    except UNREADABLE as error:
        yield UnreadableLine(number, f"not an event: {error}", raw)


def _read_enclosed_object(number: int, text: bytes, limits: ReadingLimits) -> Iterator[LogItem]:
    """The same for an element of an array, which may be an array."""
    if text.startswith(b"{"):
        yield from _read_object(number, text, text, limits)
        return
    try:
        yield from _read_enclosing(number, text, limits)
    except UNREADABLE as error:
        yield UnreadableLine(number, f"not an event: {error}", text[:_SHOWN_BYTES])


def _read_leveled(number: int, shape: _Shape, text: bytes) -> LogItem:
    if shape.reason:
        problem = "an event in a layout of its own, without involvedObject and uid: have the exporter write it whole"
        return UnreadableLine(number, problem, text)
    return ExporterLine(number, str(shape.message or ""), text)


def _read_enclosing(number: int, text: bytes, limits: ReadingLimits) -> Iterator[LogItem]:
    if len(text) > limits.item_bytes + 4 * part_bytes(limits.item_bytes):
        problem = f"a document of more than {limits.item_bytes >> 20} MiB around events: give them one by one"
        yield UnreadableLine(number, problem, text[:_SHOWN_BYTES])
        return
    found = False
    for event in enclosed_events(msgspec.json.decode(text)):
        found = True
        yield LoggedEvent(number, msgspec.convert(event, Event), msgspec.json.encode(event))
    if not found:
        yield OtherDocument(number, text)


def _read_list(number: int, shape: _Shape, text: bytes, limits: ReadingLimits) -> Iterator[LogItem]:
    if shape.kind == "NodeList" or not may_enclose_event(text):
        yield OtherDocument(number, text)
        return
    yield from _read_items(number, bytes(shape.items), limits)


def _read_items(number: int, array: bytes, limits: ReadingLimits) -> Iterator[LogItem]:
    try:
        items = _raw_list(array)
    except UNREADABLE as error:
        yield UnreadableLine(number, f"not an event list: {error}", array[:_SHOWN_BYTES])
        return
    for item in items:
        yield from _read_object(number, bytes(item), bytes(item), limits)
