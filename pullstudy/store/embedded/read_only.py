"""A connection that reads a study's file and changes nothing of it, nor of the files that SQLite keeps beside it.

In WAL mode a file has two more, ``-wal`` and ``-shm``, while somebody has it open, and after a writer was killed.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

_LOOKS = 10
_PAUSE_SECONDS = 0.02


def connect_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Raises sqlite3.Error, OSError."""
    for _ in range(_LOOKS - 1):
        try:
            return _connect_as_it_lies(path, busy_seconds)
        except FileNotFoundError:
            pass
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
        # Who closes the file last takes the two beside it away, also between our look at them and SQLite's.
        time.sleep(_PAUSE_SECONDS)
    return _connect_as_it_lies(path, busy_seconds)


def _connect_as_it_lies(path: Path, busy_seconds: float) -> sqlite3.Connection:
    log, index = (path.with_name(f"{path.name}-{each}") for each in ("wal", "shm"))
    if log.exists() and index.exists():
        # Whoever writes is read beside. What a killed writer left stays as it is, for the next writer: an ordinary
        # connection would move it into the file when it closes.
        return _connect(path, "mode=ro&readonly_shm=1", busy_seconds)
    if log.exists() and log.stat().st_size:
        return _connect_to_copy(path, log)  # without its index, which only who may write can make anew
    if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        # Not mode=ro, which would leave behind the two files that even a reader needs in WAL mode.
        return _connect(path, "mode=rw", busy_seconds)
    return _connect(path, "immutable=1", busy_seconds)  # nobody writes, and nothing can be made beside it


def _connect(path: Path, how: str, busy_seconds: float = 0.0) -> sqlite3.Connection:
    where = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(where, uri=True, timeout=busy_seconds, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA user_version")  # SQLite opens the files at the first question
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_copy(path: Path, log: Path) -> sqlite3.Connection:
    """The files of the copy are gone at once: an open file needs no name."""
    with tempfile.TemporaryDirectory(prefix="pullstudy-") as directory:
        for each in (path, log):
            shutil.copyfile(each, Path(directory) / each.name)
        connection = _connect(Path(directory) / path.name, "mode=rw")
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # what is in -wal comes into the file
        except BaseException:
            connection.close()
            raise
    return connection
