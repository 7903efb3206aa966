"""YAML of ``kubectl get -o yaml`` and of must-gather bundles, given as lines of JSON: an item of a list is a line.

Held and decoded is one document, or one item that begins at the margin, of MOST_BYTES. The line of what cannot be
read begins with ``YAML``, and is no JSON.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import msgspec
import yaml  # type: ignore[import-untyped]

MOST_BYTES = 1 << 20
_DEEPEST = 100
_SHOWN_BYTES = 1000
_LINES_LOOKED_AT = 20  # blank ones and comments
_BEGINS = re.compile(rb"---\s*$|- apiVersion:|(?:apiVersion|kind|items|metadata):(?:\s|$)")
_LIST_KEYS = {"apiVersion", "items", "kind", "metadata"}


class _RefusedError(ValueError):
    """YAML that Kubernetes does not write."""


def json_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines as they are, or, where they are YAML, as JSON, each followed by blank ones so that numbers stay."""
    source = iter(lines)
    head: list[bytes] = []
    for line in islice(source, _LINES_LOOKED_AT):
        head.append(line)
        if line.strip() and not line.startswith(b"#"):
            break
    every = chain(head, source)
    return _of_yaml(every) if head and _BEGINS.match(head[-1]) else every


def _of_yaml(lines: Iterator[bytes]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    held = count = 0
    in_item = False
    for line in lines:
        begins_item = line.startswith(b"- ")
        at_margin = line[:1] not in b" \t\r\n#"
        if begins_item or line.startswith(b"---") or (in_item and at_margin):
            yield from _json_of(chunk, held, count)
            chunk, held, count, in_item = [], 0, 0, begins_item
        count += line.endswith(b"\n")
        held += len(line)
        if held <= MOST_BYTES:
            chunk.append(line)
    yield from _json_of(chunk, held, count)


def _json_of(chunk: list[bytes], held: int, count: int) -> Iterator[bytes]:
    text = b"".join(chunk)
    try:
        if held > MOST_BYTES:
            raise _RefusedError(f"of more than {MOST_BYTES >> 20} MiB")
        values = _decoded(text)
        made = b" ".join(msgspec.json.encode(value) for value in values)
    except (_RefusedError, yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        said = " ".join(str(error).split())[:_SHOWN_BYTES]
        made = b"YAML that cannot be read: %s: " % said.encode() + b" ".join(text[:_SHOWN_BYTES].split())
    yield made + b"\n"
    yield from (b"\n" for _ in range(count - 1))


def _decoded(text: bytes) -> list[Any]:
    """An item of one; nothing of what only stands around items. Raises _RefusedError, yaml.YAMLError, ValueError."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):  # a few of them stand for gigabytes
            raise _RefusedError("with aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _RefusedError("nested too deep")
    value = yaml.load(text, Loader=yaml.CSafeLoader)
    if isinstance(value, list):
        return value
    around = isinstance(value, dict) and value.keys() <= _LIST_KEYS and not value.get("items")
    return [] if value is None or (around and str(value.get("kind", "List")).endswith("List")) else [value]
