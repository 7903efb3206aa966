"""Files of spans, as the OpenTelemetry Collector's file exporter writes them: recognised, and read request by request.

Sources: opentelemetry-collector-contrib ``exporter/fileexporter``: JSON is a TracesData a line; ``format: proto`` is
each one as protobuf behind its length, 32 bits, big-endian.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import groupby

import msgspec

from driver.importing.byte_stream import ByteStream
from driver.importing.log_file import lines_of
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.eventlog import LinePart
from pullstudy.pulls.kind import Record
from pullstudy.pulls.spans.otlp import OtlpError, PullSpans, otlp_reader
from pullstudy.pulls.spans.otlp_json import read_otlp_json
from pullstudy.pulls.spans.span import Span
from pullstudy.pulls.spans.stage_records import records_of

MOST_BYTES = 64 << 20  # of one request; exporters send some hundred KB at a time
_JSON = re.compile(rb'\s*\{\s*"resourceSpans"\s*:')
_HEAD_BYTES, _LENGTH_BYTES = 256, 4
_RESOURCE_SPANS = b"\x0a"  # the first byte of TracesData: field 1, a message
_TEXT = 9  # the lowest byte that a text begins with, a tab

Read = Callable[[], PullSpans]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Span).decode


def span_requests(stream: ByteStream, advance: Callable[[int], None]) -> Iterator[Read] | None:
    """None where it is no file of spans. Each Read raises OtlpError. Raises MissingExtraError, UnreadableFileError."""
    head = stream.peek(_HEAD_BYTES)
    if _JSON.match(head):
        return (partial(_read_line, line) for line in lines_of(stream, MOST_BYTES, advance) if line.strip())
    return _framed(stream, advance) if _is_framed(head) else None


def _is_framed(head: bytes) -> bool:
    """Whether it begins with a length that is possible, and so with a byte that no text begins with, and a message."""
    length, message = head[:_LENGTH_BYTES], head[_LENGTH_BYTES : _LENGTH_BYTES + 1]
    return 0 < int.from_bytes(length, "big") <= MOST_BYTES and length[0] < _TEXT and message == _RESOURCE_SPANS


def _read_line(line: bytes) -> PullSpans:
    if isinstance(line, LinePart):
        raise OtlpError(f"is over {MOST_BYTES >> 20} MiB long")
    return read_otlp_json(line)


def _framed(stream: ByteStream, advance: Callable[[int], None]) -> Iterator[Read]:
    read = otlp_reader()
    while head := stream.read(_LENGTH_BYTES):
        length = int.from_bytes(head, "big")
        body = stream.read(length) if len(head) == _LENGTH_BYTES and length <= MOST_BYTES else b""
        advance(len(head) + len(body))
        yield partial(_read_frame, read, body, length)
        if len(body) < length:
            return


def _read_frame(read: Callable[[bytes], PullSpans], body: bytes, length: int) -> PullSpans:
    if len(body) < length or not length:
        raise OtlpError("is cut off")
    return read(body)


class GatheredSpans:
    """The spans of all files, by trace, in a temporary file: those of one pull may be in several."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._file: sqlite3.Connection | None = None

    def add(self, spans: Iterable[Span]) -> None:
        if self._file is None:
            self._file = sqlite3.connect("")  # SQLite's own temporary file
            self._file.execute("CREATE TABLE spans (trace TEXT, span BLOB)")
        self._file.executemany("INSERT INTO spans VALUES (?, ?)", ((span.trace, _encode(span)) for span in spans))

    def records(self) -> Iterator[Record]:
        """Of the pulls whose root there is, once; nothing is kept after this."""
        if self._file is None:
            return
        with closing(self._file) as file:
            found = file.execute("SELECT trace, span FROM spans ORDER BY trace, rowid")
            for _, rows in groupby(found, key=lambda row: row[0]):
                yield from records_of((_decode(span) for _, span in rows), self._origin)
