"""What the docs say of the kinds of record, written from the table of kinds.

    python -m tests.documented_kinds

rewrites the blocks between ``<!-- kinds: NAME -->`` and ``<!-- end -->`` in docs/*.md. A test fails where they differ.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pullstudy.pulls.columns import Column
from pullstudy.pulls.kind import Kind
from pullstudy.pulls.kinds import KINDS, LAYER, PULL, PULL_STAGES
from pullstudy.store.influx.point_layout import MEASUREMENTS

DOCS = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(r"(<!-- kinds: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_JSON = {int: "number", float: "number", bool: "true or false", datetime: "time"}


def rewritten(text: str) -> str:
    """The page with its blocks as the table has them. Raises KeyError where a block is none of BLOCKS."""
    return _BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}{found[3]}", text)


def pages() -> dict[Path, str]:
    """Of all pages with such blocks, as they should be."""
    texts = {path: path.read_text() for path in sorted(DOCS.glob("*.md"))}
    return {path: rewritten(text) for path, text in texts.items() if _BLOCK.search(text)}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("-" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _columns(kind: Kind[Any]) -> str:
    return _table(("column", "what it is"), ((f"`{column.name}`", column.meaning) for column in kind.columns))


def _kinds_of_store() -> str:
    rows = ((f"`{kind.plural}`", kind.meaning, _names(column.name for column in kind.columns)) for kind in KINDS)
    return _table(("read", "one row is", "columns"), rows)


def _tables_of_store() -> str:
    rows = ((f"`{kind.table}`", f"`{kind.plural}`", _names(kind.identity)) for kind in KINDS)
    return _table(("table", "read as", "key"), rows)


def _columns_of_others() -> str:
    parts = (f"`{kind.plural}`:\n\n{_columns(kind)}" for kind in KINDS if kind is not PULL)
    return "\n".join(parts)


def _messages() -> str:
    rows = (
        (
            f"`{kind.name}`",
            "`pulls`" if kind.main else "`pulls-context`",
            kind.meaning,
            _names(kind.identity),
            ", ".join(f"`{column.name}` {_json_type(column)}" for column in kind.columns),
        )
        for kind in KINDS
    )
    return _table(("`kind`", "topic", "one message is", "identity", "columns; * may be null"), rows)


def _json_type(column: Column) -> str:
    known = "word" if issubclass(column.type, Enum) else _JSON.get(column.type, "text")
    return f"{known}{'*' if column.optional else ''}"


def _measurements() -> str:
    rows = ((f"`{each.name}`", each.meaning, _names(each.all_tags), _names(each.fields)) for each in MEASUREMENTS)
    return _table(("measurement", "one point is", "tags", "fields"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "columns of pulls": lambda: _columns(PULL),
    "columns of stages": lambda: _columns(PULL_STAGES),
    "columns of layer stages": lambda: _columns(LAYER),
    "what to read": _kinds_of_store,
    "tables and keys": _tables_of_store,
    "columns of the others": _columns_of_others,
    "messages": _messages,
    "measurements": _measurements,
}

if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
