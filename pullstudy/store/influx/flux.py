"""Flux as text, and its annotated CSV as rows."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from pullstudy.store.protocol import StoreError

# A string literal interpolates ${...}: a name with it in must not become code.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "\\x24"})
EVER = "start: time(v: -9223372036854775806), stop: time(v: 9223372036854775806)"  # all times that the server knows


def literal(text: str) -> str:
    """The text as a string literal."""
    return f'"{text.translate(_ESCAPES)}"'


def read_rows(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """The rows of a query's CSV without annotations, by column. Raises StoreError where the query failed on its way.

    Each table has a header of its own after an empty line. The server writes a newline inside of a text as CR LF.
    """
    header: Sequence[str] | None = None
    for row in csv.reader(lines):
        if not row:
            header = None
        elif header is None:
            header = row
        elif "error" in header and "reference" in header:
            raise StoreError(f"InfluxDB: the query failed: {row[header.index('error')]}")
        else:
            yield dict(zip(header, [cell.replace("\r\n", "\n") for cell in row], strict=True))
