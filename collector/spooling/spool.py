"""The spool: what was read from the sources, on disk, before their positions count as read.

A directory of segment files ``segment-<number of its first entry>.spool``, each a run of frames (``frame``).
A segment begins with an entry that repeats the positions of all sources, so that the newest one alone tells how far
each was read; the older ones are deleted as soon as all of their entries are stored. ``acknowledged`` holds the number
of the last entry that the store has taken.

Numbers have no holes. What is damaged or missing, found when the spool is opened or when it is read, is replaced by an
entry with a Gap; every whole frame before and behind it is given back, and the damaged file stays beside the others as
``segment-<number>.spool.damaged``. What was lost before the opening is read again, as far as its source still has it.

Plain blocking calls, used by one thread at a time: ``spool_queue`` is the form for the event loop.
"""

import errno
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, zip_longest
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from zlib import crc32

from collector.errors import DataDirectoryError, SpoolError, SpoolFullError, SpoolLayoutError
from collector.settings import SpoolSettings
from collector.spooling.frame import Entry, LayoutError, encode_frame, read_frames
from collector.spooling.salvage import Damage, Data, Whole, examine, is_torn
from pullstudy.atomic_file import atomic_file, synchronise
from pullstudy.file_lock import LockedError, lock_file
from pullstudy.private_files import PRIVATE_FILE, make_private_directory
from pullstudy.pulls.batch import Batch, Gap

SUFFIX = ".spool"
ACKNOWLEDGED = "acknowledged"
LOCK = "lock"
_NAME = re.compile(rf"segment-[0-9]{{16}}{re.escape(SUFFIX)}")
_MOST_INSERTED_BYTES = 16 << 20  # that a segment may be longer than it was written: it is read into memory
_BLOCK_BYTES = 4_096  # of a disk: what it cannot read, it cannot read in such pieces
_PIECE_BYTES = 1 << 20  # some 4,000 records: what one delivery takes
_GIVEN_BYTES = 4 << 20  # at a time: whoever may write events can make 4,000 records of half a gigabyte
_WITHOUT_RECORDS = Entry(number=0, source="")  # of an entry that is only to be kept: its records take memory
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share, the process's limit


@dataclass
class Segment:
    """A file of the spool. ``last`` is the number of its last entry."""

    path: Path
    last: int
    size_bytes: int


class Spool:
    """Appends, gives back in order, forgets what is acknowledged."""

    def __init__(
        self, directory: Path, settings: SpoolSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Opens the directory, made first if there is none, and repairs what is not whole: see ``damage``.

        It bears the name of the cluster. Raises DataDirectoryError, SpoolFullError, SpoolLayoutError.
        """
        self._directory = directory
        self._cluster = directory.name
        self._now = now
        self._settings = settings
        # Only a closed segment can be deleted: of a small limit too there have to be some.
        self._segment_bytes = min(settings.segment_bytes, settings.most_bytes // 4)
        self._file: int | None = None
        self._positions: dict[str, bytes] = {}
        self.damage: list[str] = []  # one line for each thing that was found, while running too
        self._segments: deque[Segment] = deque()
        self._last = 0
        self._acknowledged = 0
        self._reading, self._read_bytes = 0, 0  # the segment by its place, and how much of it was given back
        self._read_number = 0  # of the last entry that was read in it
        self._given = 0  # of the last entry that was given back
        self._before_loss: dict[str, bytes] | None = None  # the positions before the first entry that is lost
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
                with suppress(FileNotFoundError):  # read() tells it
                    return segment.path.stat().st_mtime
        return None

    @property
    def has_room(self) -> bool:
        """Whether a full one has been emptied so far that it pays to go on: a watch is not paused for every segment."""
        return self.size_bytes <= self._settings.most_bytes // 2 or self._acknowledged == self._last

    # -- opening ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._acknowledged = self._read_acknowledged()
        paths = sorted(path for path in self._directory.glob(f"segment-*{SUFFIX}") if _NAME.fullmatch(path.name))
        for path, following in zip_longest(paths, paths[1:]):
            self._examine(path, None if following is None else _first_number(following) - 1)
        if self._acknowledged and not self._segments and not self.damage:
            self._replace_missing(self._acknowledged + 1, self._acknowledged + 1, "no segment is left")
        # Entries that the store had taken may be among those cut off: their numbers are not given again.
        self._last = max(self._last, self._acknowledged)
        if self._before_loss is not None and self._before_loss != self._positions:
            # What is lost is brought again, if it is still there: each record is stored once.
            self._positions = self._before_loss
            self._start_segment()
        elif self._segments:
            self._file = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        self._forget()

    def _read_acknowledged(self) -> int:
        path = self._directory / ACKNOWLEDGED
        number = _read_number(path)
        if number is None:
            self.damage.append(f"{path}: is damaged, and counts as 0: what was stored is stored again, once")
        return number or 0

    def _examine(self, path: Path, last: int | None) -> None:
        # Without a last number it is the newest segment.
        data = _mapped(path)
        if not data and last is None:
            path.unlink()  # begun when the disk was full
            return
        due, first = max(self._last, self._acknowledged) + 1, _first_number(path)
        if first > due:
            self._replace_missing(due, first - 1, f"{path.name} is the next that is there")
        before = max(self._last, first - 1)
        try:
            found = self._take_in(data, before, last)
        except LayoutError as error:
            raise SpoolLayoutError(path, str(error)) from error
        self._keep(path, data, found, newest=last is None)

    def _take_in(self, data: Data, before: int, last: int | None) -> list[Whole | Damage]:
        found: list[Whole | Damage] = []
        self._last = before
        for each in examine(data, before, self._acknowledged, last):
            if isinstance(each, Whole):
                self._last = each.entry.number
                self._move(each.entry)
                each = Whole(_WITHOUT_RECORDS, each.start, each.end)
            elif last is not None or not is_torn(data, each.start):
                self._last = max(self._last, each.last)
                self._note_loss(each.lost)
            found.append(each)
        return found

    def _note_loss(self, lost: int) -> None:
        if lost > 0 and self._before_loss is None:
            self._before_loss = dict(self._positions)

    def _keep(self, path: Path, data: Data, found: list[Whole | Damage], *, newest: bool) -> None:
        match found:
            case [*wholes, Damage() as damage] if newest and is_torn(data, damage.start) and not _damages(wholes):
                self._cut(path, damage.start, len(data))
                size = damage.start
            case _:
                size = self._repair(path, data, found) if _damages(found) else len(data)
        if size:
            self._segments.append(Segment(path, self._last, size))

    def _move(self, entry: Entry) -> None:
        if not entry.source and not entry.replaces:  # a segment's first: a source that it lacks has none
            self._positions = {}
        self._positions |= entry.positions
        if entry.position is not None:
            self._positions[entry.source] = entry.position

    def _cut(self, path: Path, end: int, length: int) -> None:
        self.damage.append(f"{path}: {length - end} bytes after byte {end} are a torn record and were cut off")
        if end:
            os.truncate(path, end)
            synchronise(path)
        else:
            path.unlink()
        synchronise(self._directory)

    # -- damage ----------------------------------------------------------------------------------------------------

    def _repair(self, path: Path, data: Data, found: list[Whole | Damage]) -> int:
        """Keeps the file under another name, and in its place what is whole, with a gap for what is lost."""
        damages = _damages(found)
        aside = _set_aside(path) if data else None
        size = 0
        with atomic_file(path, mode=PRIVATE_FILE) as file:
            for each in found:
                size += file.write(
                    data[each.start : each.end] if isinstance(each, Whole) else self._gap_frame(path, each)
                )
        self.damage.append(_told(path, damages, aside))
        return size

    def _gap_frame(self, path: Path, damage: Damage) -> bytes:
        if damage.lost <= 0:
            return b""
        gap = Gap(
            cluster=self._cluster,
            from_version=str(damage.first),
            to_version=str(damage.last),
            found_at=self._now(),
            why=f"spool entries: {path.name} is damaged or missing",
        )
        return encode_frame(
            Entry(number=damage.last, source="", batch=Batch(gaps=(gap,)), replaces=damage.last - damage.first)
        )

    def _replace_missing(self, first: int, last: int, why: str) -> None:
        path = self._segment_path(first)
        damage = Damage(0, 0, first, last)
        self._note_loss(damage.lost)
        size = self._repair(path, b"", [damage])
        self.damage[-1] += f" ({why})"
        self._last = last
        self._segments.append(Segment(path, last, size))

    def _repair_while_reading(self, segment: Segment) -> None:
        if segment is self._segments[-1]:
            self._close_file()  # the next entry begins a segment
        try:
            data = _read_all(segment.path, segment.size_bytes + _MOST_INSERTED_BYTES)
            found = list(examine(data, _first_number(segment.path) - 1, self._acknowledged, segment.last))
            if not _damages(found):
                raise SpoolError(f"spool {segment.path}: cannot be read twice alike: look at the disk and the memory")
            segment.size_bytes = self._repair(segment.path, data, found)
        except OSError as error:
            raise _spool_error(segment.path, error) from error
        self._begin_segment()

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, source: str, position: bytes | None, batch: Batch) -> int:
        """Put them on disk, synchronised, and return the entry's number. Raises SpoolFullError, SpoolError.

        Without a position the source's own stays where it was.
        """
        if self._file is None or self._segments[-1].size_bytes >= self._segment_bytes or self._changed(self._file):
            self._start_segment()
        entry = Entry(number=self._last + 1, source=source, position=position, batch=batch)
        self._write(entry)
        self._move(entry)
        return self._last

    def _changed(self, file: int) -> bool:
        # Deleted or cut by someone: what would be appended could not be found again. read() sees what is missing.
        try:
            there = os.fstat(file)
        except OSError as error:
            raise _spool_error(self._segments[-1].path, error) from error
        return not there.st_nlink or there.st_size != self._segments[-1].size_bytes

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _segment_path(self, first: int) -> Path:
        return self._directory / f"segment-{first:016d}{SUFFIX}"

    def _start_segment(self) -> None:
        self._close_file()
        path = self._segment_path(self._last + 1)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, PRIVATE_FILE)
            synchronise(self._directory)
        except OSError as error:
            raise _spool_error(path, error) from error
        self._segments.append(Segment(path, self._last, 0))
        try:
            self._write(Entry(number=self._last + 1, source="", positions=self._positions))
        except SpoolError:
            # It is not the newest: the one before still has the positions, and must not be forgotten.
            self._close_file()
            self._segments.pop()
            raise
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

        Stops after the entry that brings their records to most_records or more, or their bytes to _GIVEN_BYTES.
        """
        found: list[Entry] = []
        records = size = 0
        while records < most_records and self._reading < len(self._segments):
            segment = self._segments[self._reading]
            start = self._read_bytes
            for entry in self._read_segment(segment):
                if entry.number > max(self._acknowledged, self._given):
                    self._given = entry.number
                    found.append(entry)
                    records += len(entry.batch)
                    size += self._read_bytes - start
                start = self._read_bytes
                if records >= most_records or size >= _GIVEN_BYTES:
                    return found
            if self._read_bytes < segment.size_bytes or self._read_number < segment.last:
                self._repair_while_reading(segment)
                continue
            if segment is self._segments[-1]:
                break
            self._reading += 1
            self._begin_segment()
        return found

    def _begin_segment(self) -> None:
        self._read_bytes = self._read_number = 0

    def _read_segment(self, segment: Segment) -> Iterator[Entry]:
        """The entries from where reading is, up to the first that is not whole or does not follow the one before."""
        start = self._read_bytes
        if not start:
            self._read_number = _first_number(segment.path) - 1
        try:
            for entry, end in _frames(segment, start):
                number = self._read_number
                if not number < entry.number - entry.replaces <= max(number, self._acknowledged) + 1:
                    return
                self._read_bytes, self._read_number = end, entry.number
                yield entry
        except LayoutError as error:
            raise SpoolLayoutError(segment.path, str(error)) from error

    def acknowledge(self, number: int) -> None:
        """The store has everything up to this entry: it is not given back again, and may be deleted."""
        self._acknowledged = max(self._acknowledged, number)
        # Not synchronised: an older number costs only a repetition, and a torn one counts as none.
        _write_number(self._directory / ACKNOWLEDGED, self._acknowledged)
        self._forget()

    def _forget(self) -> None:
        if len(self._segments) > 1 and self._segments[0].last <= self._acknowledged:
            # Else segments that were stored would look like missing ones after a power cut.
            _write_number(self._directory / ACKNOWLEDGED, self._acknowledged, durable=True)
        while len(self._segments) > 1 and self._segments[0].last <= self._acknowledged:
            path = self._segments.popleft().path
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _spool_error(path, error) from error
            if self._reading > 0:
                self._reading -= 1
            else:
                self._begin_segment()


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


def _first_number(path: Path) -> int:
    return int(path.name[len("segment-") : -len(SUFFIX)])


def _mapped(path: Path) -> Data:
    # Not kept in memory: a file that someone made large takes none.
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return b""
        if _is_readable(file.fileno(), size):
            return mmap(file.fileno(), 0, access=ACCESS_READ)
    return _read_all(path, size)


def _is_readable(file: int, size: int) -> bool:
    # What the disk cannot read would end the process, where it is mapped (SIGBUS).
    try:
        for start in range(0, size, _PIECE_BYTES):
            os.pread(file, _PIECE_BYTES, start)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False
    return True


def _read_all(path: Path, most: int) -> bytes:
    """The beginning of a file, with zeros in the place of what the disk cannot read; empty where there is none."""
    try:
        with path.open("rb") as file:
            size = min(most, os.fstat(file.fileno()).st_size)
            return b"".join(
                _block(file.fileno(), start, min(_BLOCK_BYTES, size - start)) for start in range(0, size, _BLOCK_BYTES)
            )
    except FileNotFoundError:
        return b""


def _block(file: int, start: int, size: int) -> bytes:
    try:
        return os.pread(file, size, start)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return bytes(size)


def _damages(found: list[Whole | Damage]) -> list[Damage]:
    return [each for each in found if isinstance(each, Damage)]


def _set_aside(path: Path) -> Path:
    """The file under one more name, which no spool reads or deletes."""
    for number in count(1):
        aside = path.with_name(f"{path.name}.damaged{'' if number == 1 else f'-{number}'}")
        try:
            os.link(path, aside)
        except FileExistsError:
            continue
        except OSError:  # no links on this file system
            if aside.exists():
                continue
            shutil.copyfile(path, aside)
            synchronise(aside)
        return aside
    raise AssertionError


def _told(path: Path, damages: list[Damage], aside: Path | None) -> str:
    size = sum(each.end - each.start for each in damages)
    lost = sum(max(0, each.lost) for each in damages)
    gone = f"of the entries {damages[0].first} to {damages[-1].last}, {lost} are lost" if lost else "no entry is lost"
    what = "is missing or empty" if aside is None else f"{size} bytes from byte {damages[0].start} on are damaged"
    kept = "" if aside is None else f", all others are kept; the file as it was is {aside.name}"
    return f"{path}: {what}: {gone}{kept}"


def _frames(segment: Segment, start: int) -> Iterator[tuple[Entry, int]]:
    """From there on, each with where it ends; from a piece first: a read seldom takes more."""
    end = start
    for entry, length in read_frames(_read(segment, start, min(_PIECE_BYTES, segment.size_bytes - start))):
        end = start + length
        yield entry, end
    if segment.size_bytes - start > _PIECE_BYTES:
        for entry, length in read_frames(_read(segment, end, segment.size_bytes - end)):
            yield entry, end + length


def _read(segment: Segment, start: int, size: int) -> bytes:
    """Empty where the file is gone, or the disk cannot read it: what should be there shows that."""
    try:
        with segment.path.open("rb") as file:
            return os.pread(file.fileno(), size, start)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EIO):
            return b""
        raise _spool_error(segment.path, error) from error


def _write_all(file: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _read_number(path: Path) -> int | None:
    """0 where there is none, None where it is damaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    number, checksum = data[:8], data[8:]
    return int.from_bytes(number, "little") if checksum == crc32(number).to_bytes(4, "little") else None


def _write_number(path: Path, number: int, *, durable: bool = False) -> None:
    data = number.to_bytes(8, "little")
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE)
        try:
            os.pwrite(file, data + crc32(data).to_bytes(4, "little"), 0)
            if durable:
                os.fdatasync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise _spool_error(path, error) from error


def _spool_error(path: Path, error: OSError) -> SpoolError:
    if error.errno in _NO_ROOM:
        return SpoolFullError(path, _reason(error))
    return SpoolError(
        f"spool {path}: {_reason(error)}: look at the disk, and start again; what was not on it does not count as read"
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
