"""Records that the store will never take, where there is no bus to bury them in: a file beside the spool.

One JSON line each; after a kill one may be there twice:

    {"at":"2026-01-01T00:00:00Z","reason":"422 ... type conflict ...","record":{"schema":1,"kind":"pull",...}}
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec

from collector.errors import DataDirectoryError
from pullstudy.bus.record_format import encode
from pullstudy.private_files import PRIVATE_FILE
from pullstudy.pulls.kind import Record
from pullstudy.store.protocol import Refused

FILE_NAME = "dead-letters.jsonl"
MOST_BYTES = 256 << 20  # some 250,000 of them: then something is wrong that nobody looks at


class DeadLetterFile:
    """Appends, durably. Made with the first dead letter."""

    def __init__(self, directory: Path, most_bytes: int = MOST_BYTES) -> None:
        self.path = directory / FILE_NAME
        self._most_bytes = most_bytes

    def bury(self, letters: Sequence[Refused], at: datetime) -> None:
        """On return they are on disk. Raises DataDirectoryError where there is no room."""
        data = b"".join(_line(letter, at) for letter in letters)
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
            try:
                size = os.fstat(file).st_size
                if size + len(data) > self._most_bytes:
                    raise DataDirectoryError(
                        self.path.parent,
                        f"{FILE_NAME} is at its limit of {self._most_bytes} bytes: see the reasons, and move it away",
                    )
                _append(file, data, size)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise DataDirectoryError(
                self.path.parent, f"{FILE_NAME}: {(error.strerror or str(error)).lower()}"
            ) from error


def _append(file: int, data: bytes, size: int) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, size)  # half a line would spoil the next one
        raise


def _line(letter: Refused, at: datetime) -> bytes:
    line = {"at": at, "reason": letter.reason, "record": _as_json(cast(Record, letter.record))}
    return msgspec.json.encode(line) + b"\n"


def _as_json(record: Record) -> msgspec.Raw | str:
    try:
        return msgspec.Raw(encode(record))
    except ValueError:  # a lone surrogate
        return repr(record).encode("ascii", "backslashreplace").decode()
