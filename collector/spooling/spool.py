"""The spool: what was read from the sources, on disk, before their positions count as read.

A directory of segment files ``segment-<number of its first entry>.spool``, each a run of frames (``frame``).
A segment begins with an entry that repeats the positions of all sources, so that the newest one alone tells how far
each was read; the older ones are deleted as soon as all of their entries are stored. ``acknowledged`` holds the number
of the last entry that the store has taken.

Plain blocking calls, used by one thread at a time: ``spool_queue`` is the form for the event loop.
"""

import errno
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from zlib import crc32

from collector.errors import DataDirectoryError, SpoolError, SpoolFullError, SpoolLayoutError
from collector.settings import SpoolSettings
from collector.spooling.frame import Entry, LayoutError, encode_frame, read_frames
from pullstudy.file_lock import LockedError, lock_file
from pullstudy.private_files import PRIVATE_FILE, make_private_directory
from pullstudy.pulls.batch import Batch

SUFFIX = ".spool"
ACKNOWLEDGED = "acknowledged"
LOCK = "lock"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share, the process's limit


@dataclass
class Segment:
    """A file of the spool. ``last`` is the number of its last entry."""

    path: Path
    last: int
    size_bytes: int


class Spool:
    """Appends, gives back in order, forgets what is acknowledged."""

    def __init__(self, directory: Path, settings: SpoolSettings) -> None:
        """Opens the directory, made first if there is none, and cuts off what is not whole: see ``damage``.

        Raises DataDirectoryError, SpoolFullError, SpoolLayoutError.
        """
        self._directory = directory
        self._settings = settings
        # Only a closed segment can be deleted: of a small limit too there have to be some.
        self._segment_bytes = min(settings.segment_bytes, settings.most_bytes // 4)
        self._file: int | None = None
        self._positions: dict[str, bytes] = {}
        self.damage: list[str] = []  # one line for each thing that was cut off
        self._segments: deque[Segment] = deque()
        self._last = 0
        self._acknowledged = 0
        self._reading, self._read_bytes = 0, 0  # the segment by its place, and how much of it was given back
        self._lock = _lock(directory)
        try:
            self._open()
        except OSError as error:
            self.close()
            raise DataDirectoryError(directory, f"cannot be used ({_reason(error)})") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Everything is on disk already: only gives the files and the lock back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._lock)

    @property
    def directory(self) -> Path:
        return self._directory

    @property
    def last(self) -> int:
        """The number of the last entry; 0 before the first."""
        return self._last

    @property
    def acknowledged(self) -> int:
        return self._acknowledged

    def position(self, source: str) -> bytes | None:
        """How far the source was read, in its own encoding; None where nothing brought a position yet."""
        return self._positions.get(source)

    @property
    def size_bytes(self) -> int:
        # A copy: other threads may ask, and a deque must not change while it is gone through.
        return sum(segment.size_bytes for segment in tuple(self._segments))

    @property
    def limit_bytes(self) -> int:
        return self._settings.most_bytes

    @property
    def full(self) -> bool:
        """Whether the store has to catch up first; never while it has everything, however small the limit is."""
        return self.size_bytes >= self._settings.most_bytes and self._acknowledged < self._last

    def oldest_written_at(self) -> float | None:
        """Of the file with the oldest entry not acknowledged, in seconds since 1970; None where there is none."""
        for segment in self._segments:
            if segment.last > self._acknowledged:
                return segment.path.stat().st_mtime
        return None

    @property
    def has_room(self) -> bool:
        """Whether a full one has been emptied so far that it pays to go on: a watch is not paused for every segment."""
        return self.size_bytes <= self._settings.most_bytes // 2 or self._acknowledged == self._last

    # -- opening ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._acknowledged = _read_number(self._directory / ACKNOWLEDGED)
        paths = sorted(self._directory.glob(f"segment-*{SUFFIX}"))
        for position, path in enumerate(paths):
            if not self._scan(path, newest=position == len(paths) - 1):
                self._discard(paths[position + 1 :])
                break
        # Entries that the store had taken may be among those cut off: their numbers are not given again.
        self._last = max(self._last, self._acknowledged)
        if self._segments:
            self._file = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        self._forget()

    def _scan(self, path: Path, *, newest: bool) -> bool:
        # Returns whether all of it is whole.
        try:
            data = path.read_bytes()
            end = self._scan_frames(data)
        except LayoutError as error:
            raise SpoolLayoutError(path, str(error)) from error
        if end:
            self._segments.append(Segment(path, self._last, end))
        elif newest and not data:
            path.unlink()  # begun when the disk was full
        if end < len(data) or not (data or newest):
            self._cut(path, end, len(data))
            return False
        return True

    def _scan_frames(self, data: bytes) -> int:
        # Returns where the last frame ends that is whole and follows the one before.
        end = 0
        for entry, offset in read_frames(data):
            # Only what the store has may be missing between two entries: see _open().
            if self._last and entry.number - 1 > max(self._last, self._acknowledged):
                break
            end, self._last = offset, entry.number
            self._move(entry)
        return end

    def _move(self, entry: Entry) -> None:
        self._positions |= entry.positions
        if entry.position is not None:
            self._positions[entry.source] = entry.position

    def _cut(self, path: Path, end: int, length: int) -> None:
        self.damage.append(f"{path}: {length - end} bytes after byte {end} are torn or damaged and were cut off")
        if end:
            os.truncate(path, end)
            _synchronise(path)
        else:
            path.unlink()
        _synchronise(self._directory)

    def _discard(self, paths: list[Path]) -> None:
        # What comes after damage may rest on what was lost: the source brings it again.
        for path in paths:
            self.damage.append(f"{path}: comes after the damage and was discarded")
            path.unlink()

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, source: str, position: bytes | None, batch: Batch) -> int:
        """Put them on disk, synchronised, and return the entry's number. Raises SpoolFullError, SpoolError.

        Without a position the source's own stays where it was.
        """
        if self._file is None or self._segments[-1].size_bytes >= self._segment_bytes:
            self._start_segment()
        entry = Entry(number=self._last + 1, source=source, position=position, batch=batch)
        self._write(entry)
        self._move(entry)
        return self._last

    def _start_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._directory / f"segment-{self._last + 1:016d}{SUFFIX}"
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, PRIVATE_FILE)
            _synchronise(self._directory)
        except OSError as error:
            raise _spool_error(path, error) from error
        self._segments.append(Segment(path, self._last, 0))
        self._write(Entry(number=self._last + 1, source="", positions=self._positions))
        self._forget()

    def _write(self, entry: Entry) -> None:
        segment = self._segments[-1]
        frame = encode_frame(entry)
        assert self._file is not None  # append() opened it
        try:
            _write_all(self._file, frame)
            os.fdatasync(self._file)
        except OSError as error:
            with suppress(OSError):  # else the next opening cuts it off
                os.ftruncate(self._file, segment.size_bytes)
            raise _spool_error(segment.path, error) from error
        segment.size_bytes += len(frame)
        segment.last = self._last = entry.number

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, most_records: int) -> list[Entry]:
        """The next entries not acknowledged and not read yet, at least one where there is any, in order.

        Stops after the entry that brings their records to most_records or more.
        """
        found: list[Entry] = []
        records = 0
        while records < most_records and self._reading < len(self._segments):
            segment = self._segments[self._reading]
            start = self._read_bytes
            for entry, end in read_frames(_read_rest(segment, start)):
                self._read_bytes = start + end
                if entry.number > self._acknowledged:
                    found.append(entry)
                    records += len(entry.batch)
                if records >= most_records:
                    return found
            if segment is self._segments[-1]:
                break
            self._reading, self._read_bytes = self._reading + 1, 0
        return found

    def acknowledge(self, number: int) -> None:
        """The store has everything up to this entry: it is not given back again, and may be deleted."""
        self._acknowledged = max(self._acknowledged, number)
        # Not synchronised: an older number costs only a repetition, and a torn one counts as none.
        _write_number(self._directory / ACKNOWLEDGED, self._acknowledged)
        self._forget()

    def _forget(self) -> None:
        while len(self._segments) > 1 and self._segments[0].last <= self._acknowledged:
            self._segments.popleft().path.unlink(missing_ok=True)
            if self._reading > 0:
                self._reading -= 1
            else:
                self._read_bytes = 0


def _lock(directory: Path) -> int:
    try:
        make_private_directory(directory)
        return lock_file(directory / LOCK)
    except OSError as error:
        raise DataDirectoryError(directory, f"cannot be written ({_reason(error)})") from error
    except LockedError as error:
        holder = error.holder
        raise DataDirectoryError(
            directory, f"another collector (process {holder}) writes it; stop that one, or use another --data-dir"
        ) from error


def _read_rest(segment: Segment, start: int) -> bytes:
    try:
        with segment.path.open("rb") as file:
            return os.pread(file.fileno(), segment.size_bytes - start, start)
    except OSError as error:
        raise _spool_error(segment.path, error) from error


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _synchronise(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _read_number(path: Path) -> int:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    number, checksum = data[:8], data[8:]
    return int.from_bytes(number, "little") if checksum == crc32(number).to_bytes(4, "little") else 0


def _write_number(path: Path, number: int) -> None:
    data = number.to_bytes(8, "little")
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE)
        try:
            os.pwrite(file, data + crc32(data).to_bytes(4, "little"), 0)
        finally:
            os.close(file)
    except OSError as error:
        raise _spool_error(path, error) from error


def _spool_error(path: Path, error: OSError) -> SpoolError:
    if error.errno in _NO_ROOM:
        return SpoolFullError(path, _reason(error))
    return SpoolError(f"spool {path}: {_reason(error)}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
