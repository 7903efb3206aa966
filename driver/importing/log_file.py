"""Files and pipes with logs, opened and read line by line in bounded memory."""

import codecs
import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from driver.errors import UsageError
from driver.importing.byte_stream import Source, UnreadableFileError
from driver.importing.yaml_documents import json_lines
from pullstudy.pulls.eventlog import LIMITS, LinePart

STANDARD_INPUT = Path("-")
_BUFFER_BYTES = 1 << 18
_PATIENCE_MILLISECONDS = 1_000  # before it is said that a pipe is waited for
_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEAD_BYTES = 512
_NO_BINARY = (b"{", b"[", b"\0")  # a log that is damaged, and /dev/zero or a file with a hole


class BinaryFileError(UnreadableFileError):
    """A file that holds no text."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__("a binary file: no text, and so no log")
        self.beginning = beginning


def check_readable(paths: Iterable[Path]) -> None:
    """Raises UsageError, before anything is done, where a path cannot be read. Pipes are not opened."""
    for path in paths:
        if path != STANDARD_INPUT:
            problem = _problem(path)
            if problem:
                raise UsageError(f"{path}: {problem}; nothing was imported")


def _problem(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
        elif stat.S_ISFIFO(mode):
            return None if os.access(path, os.R_OK) else "Permission denied"
        elif stat.S_ISDIR(mode):
            return "Is a directory: give the files in it"
        else:
            return "a device or a socket: give a file, a pipe, or - for standard input"
    except OSError as error:
        return error.strerror or str(error)
    return None


@contextmanager
def opened(path: Path, note: Callable[[str], None]) -> Iterator[BinaryIO]:
    """As it is. ``note`` is told where nobody writes to a pipe. Raises OSError."""
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with _open_pipe(path, note) if path.is_fifo() else path.open("rb", _BUFFER_BYTES) as file:
        yield file


def _open_pipe(path: Path, note: Callable[[str], None]) -> BinaryIO:
    # An ordinary open() of a pipe returns when somebody opens its other end: that can be never, without a word.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(_PATIENCE_MILLISECONDS):
        note(f"{path}: a pipe that nobody writes to yet; waiting")
        poll.poll()
    os.set_blocking(descriptor, True)
    return open(descriptor, "rb")


def lines_of(
    file: Source, line_bytes: int = LIMITS.line_bytes, advance: Callable[[int], None] = lambda size: None
) -> Iterator[bytes]:
    """Lines, and of those over ``line_bytes`` parts; YAML as lines of JSON. ``advance`` is told the bytes read.

    Text may be UTF-8 or, where a byte-order mark says so, UTF-16. Raises UnreadableFileError where the file cannot be
    read on, BinaryFileError where it is no text.
    """
    return json_lines(_lines(_utf8_blocks(_blocks(file, advance)), line_bytes))


def _lines(blocks: Iterator[bytes], line_bytes: int) -> Iterator[bytes]:
    rest, goes_on = b"", False
    for block in blocks:
        lines = io.BytesIO(rest + block)
        rest = b""
        for line in lines:
            if line.endswith(b"\n"):
                yield LinePart(line) if goes_on else line
                goes_on = False
            else:
                rest = line
        if len(rest) >= line_bytes or (goes_on and rest):
            yield LinePart(rest)
            rest, goes_on = b"", True
    if rest:
        yield rest


def _blocks(file: Source, advance: Callable[[int], None]) -> Iterator[bytes]:
    while block := file.read1(_BUFFER_BYTES):
        advance(len(block))
        yield block


def _utf8_blocks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Without a byte-order mark, and as UTF-8 where it tells of UTF-16, which PowerShell's ``>`` writes."""
    first = next(blocks, b"")
    encoding = next((name for mark, name in _UTF16 if first.startswith(mark)), None)
    if encoding is not None:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        yield decoder.decode(first)[1:].encode(errors="replace")
        yield from (decoder.decode(block).encode(errors="replace") for block in blocks)
        yield decoder.decode(b"", final=True).encode(errors="replace")
        return
    if b"\0" in first[:_HEAD_BYTES] and first[:1] not in _NO_BINARY:
        raise BinaryFileError(first[:_HEAD_BYTES])
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from blocks
