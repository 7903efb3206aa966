"""Flux as text, and its annotated CSV as rows."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from pullstudy.store.influx.answers import one_line
from pullstudy.store.protocol import StoreError

# A string literal interpolates ${...}: a name with it in must not become code.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "\\x24"})
_WHOLE = re.compile(r"-?[0-9]{1,19}")
ROW_CHARACTERS = 4 << 20  # many times what the longest record takes
EVER = "start: time(v: -9223372036854775806), stop: time(v: 9223372036854775806)"  # all times that the server knows


def literal(text: str) -> str:
    """The text as a string literal."""
    return f'"{text.translate(_ESCAPES)}"'


class Row(dict[str, str]):
    """Text by column. A column that is asked for and is not there raises StoreError."""

    def __missing__(self, column: str) -> str:
        raise StoreError(f"InfluxDB: the answer has no column {column!r}: is this InfluxDB 2?")

    def whole_number(self, column: str) -> int:
        """Of 64 bits, as the server's are. Raises StoreError."""
        text = self[column]
        if not _WHOLE.fullmatch(text):
            raise StoreError(f"InfluxDB: column {column!r} holds no whole number: {text[:40]!r}")
        return int(text)


def lines_of(stream: io.TextIOBase) -> Iterator[str]:
    """Its lines, for read_rows; one without end comes in pieces."""
    return iter(lambda: stream.readline(ROW_CHARACTERS), "")


def read_rows(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a query's CSV without annotations. Raises StoreError where it is none or the query failed on its way.

    Each table has a header of its own after an empty line. The server writes a newline inside of a text as CR LF.
    """
    counted = _Lines(lines)
    header: Sequence[str] | None = None
    try:
        for row in csv.reader(counted):
            counted.row_ended()
            if not row:
                header = None
            elif header is None:
                header = row
            elif "error" in header and "reference" in header:
                raise StoreError(f"InfluxDB: the query failed: {one_line(row[header.index('error')])}")
            else:
                yield Row(zip(header, [cell.replace("\r\n", "\n") for cell in row], strict=True))
    except (csv.Error, ValueError) as error:  # not UTF-8; a row longer or shorter than its header
        raise StoreError(f"InfluxDB: the answer is no table: {one_line(str(error))}") from error


class _Lines:
    """Lines, of which those of one row take a bounded room: a text may have many."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self._characters = 0

    def row_ended(self) -> None:
        self._characters = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._characters += len(line)
            if self._characters >= ROW_CHARACTERS:
                raise StoreError(f"InfluxDB: the answer has a row of over {ROW_CHARACTERS} characters")
            yield line
