"""Spans that were received and whose pulls are not over, on disk: what is acknowledged to an exporter is here.

A directory of segments ``spans-<number>.journal``, each a run of frames ``[length][checksum][payload]`` as the spool's
are: CRC-32 of length and payload, both 32 bits, little-endian; the payload is a list of spans as MessagePack. A segment
is deleted when no span in it waits any more. A frame that a kill left unfinished was never acknowledged.

Plain blocking calls, used by one thread at a time.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from zlib import crc32

import msgspec

from collector.errors import DataDirectoryError, SpoolFullError
from pullstudy.atomic_file import synchronise
from pullstudy.private_files import PRIVATE_FILE, make_private_directory
from pullstudy.pulls.spans.span import Span

SEGMENT_BYTES = 4 << 20
_NAME = re.compile(r"spans-([0-9]{16})\.journal")
_HEAD_BYTES = 8

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Span]).decode


class SpanJournal:
    """Appends, gives everything back when it is opened, forgets segment by segment."""

    def __init__(self, directory: Path) -> None:
        """Raises DataDirectoryError."""
        self._directory = directory
        self._sizes: dict[int, int] = {}  # bytes, of the segments by number
        self._unclaimed: Counter[int] = Counter()  # frames that append() wrote and nobody waits for yet, by segment
        self._file: int | None = None
        try:
            make_private_directory(directory)
            for path in directory.iterdir():
                if found := _NAME.fullmatch(path.name):
                    self._sizes[int(found[1])] = path.stat().st_size
        except OSError as error:
            raise DataDirectoryError(directory, f"cannot be used ({error.strerror or error})") from error
        self._current = max(self._sizes, default=0)  # appended to is a new one: of this the end may be torn

    @property
    def size_bytes(self) -> int:
        return sum(tuple(self._sizes.values()))

    def read(self, damaged: Callable[[Path, int], None]) -> Iterator[tuple[int, list[Span]]]:
        """What was kept at the opening, with the number of its segment.

        ``damaged`` is told the segments that have bytes which no frame explains, and how many: a frame at the end that
        is cut was never acknowledged, and is none of these.
        """
        for number in sorted(self._sizes):
            if number <= self._current:
                path = self._path(number)
                yield from ((number, spans) for spans in _frames(path.read_bytes(), partial(damaged, path)))

    def append(self, spans: Sequence[Span]) -> int:
        """On return they are on disk, in the segment of this number. Raises SpoolFullError."""
        payload = _encode(spans)
        length = len(payload).to_bytes(4, "little")
        frame = b"".join((length, crc32(payload, crc32(length)).to_bytes(4, "little"), payload))
        try:
            file = self._open_for(len(frame))
            _write_all(file, frame)
            os.fdatasync(file)
        except OSError as error:
            self._leave()
            raise SpoolFullError(self._path(self._current), error.strerror or str(error)) from error
        self._unclaimed[self._current] += 1
        self._sizes[self._current] += len(frame)
        return self._current

    def claim(self, segment: int) -> None:
        """What append() put into it waits from now on, and is asked for with idle()."""
        self._unclaimed[segment] -= 1

    def idle(self, needed: set[int]) -> list[int]:
        """The segments that are none of these, are closed, and have nothing that is not claimed yet."""
        open_one = {self._current} if self._file is not None else set()
        kept = needed | open_one
        return [number for number in tuple(self._sizes) if number not in kept and self._unclaimed[number] <= 0]

    def delete(self, segments: Iterable[int]) -> int:
        """How many bytes are free again."""
        freed = 0
        for number in segments:
            self._path(number).unlink(missing_ok=True)
            freed += self._sizes.pop(number, 0)
            self._unclaimed.pop(number, None)
        return freed

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _leave(self) -> None:
        """Of a segment that may end in half a frame nothing more is read: the next frame begins another one."""
        if self._file is not None:
            self._sizes[self._current] = os.fstat(self._file).st_size
            self.close()

    def _open_for(self, size: int) -> int:
        if self._file is not None and self._sizes[self._current] + size <= SEGMENT_BYTES:
            return self._file
        self.close()
        self._current += 1
        path = self._path(self._current)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, PRIVATE_FILE)
        self._sizes[self._current] = 0
        synchronise(self._directory)
        return self._file

    def _path(self, number: int) -> Path:
        return self._directory / f"spans-{number:016}.journal"


def _write_all(file: int, data: bytes) -> None:
    """A disk that becomes full takes a part, and says so only when it is asked again."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _frames(data: bytes, damaged: Callable[[int], None]) -> Iterator[list[Span]]:
    at = 0
    while at + _HEAD_BYTES <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        payload = data[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
        checksum = int.from_bytes(data[at + 4 : at + 8], "little")
        if len(payload) < length:
            return
        at += _HEAD_BYTES + length
        if crc32(payload, crc32(data[at - _HEAD_BYTES - length : at - length - 4])) != checksum:
            damaged(_HEAD_BYTES + length)
            continue
        try:
            yield _decode(payload)
        except msgspec.DecodeError:  # its checksum holds: another version wrote it
            damaged(_HEAD_BYTES + length)
