"""Event logs, read line by line: what an exporter, ``kubectl get events`` or a watch wrote.

The forms: one event a line (the exporter's log, with the exporter's own lines between), one watch line a line,
a ``kubectl get events -o json`` List, and JSON documents over several lines one after the other
(``kubectl get events --watch -o json``). A line may carry a prefix such as a timestamp before its JSON.
Whatever cannot be read is a finding with its line number, and the rest is read on.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pullstudy.pulls.event import Event, decode_event_json

_ITEMS = re.compile(r'"items":\s*\[')
_SEPARATOR = re.compile(r"[\s,]*")
_scan = json.JSONDecoder().raw_decode
_WATCH_TYPES = {"ADDED", "MODIFIED", "DELETED"}


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event, where it stood, and its text."""

    line: int
    event: Event
    raw: bytes


class ExporterLine(msgspec.Struct, frozen=True):
    """A line that the exporter logged about itself."""

    line: int
    message: str


class UnreadableLine(msgspec.Struct, frozen=True):
    """A line, or a document that begins there, that is none of the forms."""

    line: int
    problem: str
    raw: bytes


class OtherDocument(msgspec.Struct, frozen=True):
    """A JSON document that is whole and no event: nodes, manifests, pods."""

    line: int
    value: dict[str, Any]


Item = LoggedEvent | ExporterLine | UnreadableLine | OtherDocument


class _Shape(msgspec.Struct):
    """Just enough of a JSON object to tell which of the forms it is."""

    kind: str | None = None
    type: str | None = None
    level: str | None = None
    message: str | msgspec.Raw | None = None
    object: msgspec.Raw = msgspec.Raw()
    items: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()
    involved: msgspec.Raw = msgspec.field(name="involvedObject", default=msgspec.Raw())
    regarding: msgspec.Raw = msgspec.Raw()


_shape = msgspec.json.Decoder(_Shape).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_log(lines: Iterable[bytes]) -> Iterator[Item]:
    """The items of a log, in its order; numbers of lines start at 1."""
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        text = line.strip()
        if not text:
            continue
        if text in (b"{", b"["):
            yield from _read_document(number, line, numbered)
        else:
            yield from _read_line(number, text)


def _read_line(number: int, text: bytes) -> Iterator[Item]:
    start = text.find(b"{")
    if start < 0:
        yield UnreadableLine(number, "no JSON object on this line", text)
        return
    yield from _read_object(number, text[start:] if start else text, text)


def _read_document(number: int, first: bytes, rest: Iterator[tuple[int, bytes]]) -> Iterator[Item]:
    """A document over several lines: it ends at the line where its outermost bracket closes at the margin."""
    closing = b"}" if first.strip() == b"{" else b"]"
    parts = [first]
    for _, line in rest:
        if line.startswith((b"{", b"[")):  # at the margin only another document begins
            yield from _read_cut_off(number, b"".join(parts))
            yield from _read_line(number + len(parts), line.strip())
            return
        parts.append(line)
        if line.rstrip() == closing:
            break
    else:
        yield from _read_cut_off(number, b"".join(parts))
        return
    document = b"".join(parts)
    if closing == b"]":
        yield from _read_items(number, document)
    else:
        yield from _read_object(number, document, document)


def _read_cut_off(number: int, document: bytes) -> Iterator[Item]:
    """The whole items at the head of a list whose end is missing, then the rest as unreadable."""
    text = document.decode(errors="replace")
    opened = _ITEMS.search(text)
    position = opened.end() if opened else 0
    while opened:
        try:
            value, position = _scan(text, _SEPARATOR.match(text, position).end())  # type: ignore[union-attr]
        except ValueError:
            break
        item = msgspec.json.encode(value)
        yield from _read_object(number, item, item)
    yield UnreadableLine(number, "a JSON document that begins here does not end", text[position:].encode())


def _read_object(number: int, text: bytes, raw: bytes) -> Iterator[Item]:
    try:
        shape = _shape(text)
        if shape.items and (shape.kind or "").endswith("List"):
            yield from _read_list(number, shape, text)
        elif shape.type in _WATCH_TYPES and shape.object:
            # A DELETED event tells again what it told when it was made.
            yield LoggedEvent(number, decode_event_json(shape.object), bytes(shape.object))
        elif shape.involved or shape.regarding:
            yield LoggedEvent(number, decode_event_json(text), text)
        elif shape.level is not None and not shape.metadata:
            yield ExporterLine(number, str(shape.message or ""))
        else:
            yield OtherDocument(number, json.loads(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield UnreadableLine(number, f"not an event: {error}", raw)


def _read_list(number: int, shape: _Shape, text: bytes) -> Iterator[Item]:
    if shape.kind == "NodeList" or (b'"involvedObject"' not in text and b'"regarding"' not in text):
        yield OtherDocument(number, json.loads(text))
        return
    yield from _read_items(number, bytes(shape.items))


def _read_items(number: int, array: bytes) -> Iterator[Item]:
    try:
        items = _raw_list(array)
    except msgspec.DecodeError as error:
        yield UnreadableLine(number, f"not an event list: {error}", array[:1000])
        return
    for item in items:
        yield from _read_object(number, bytes(item), bytes(item))
