"""A file that one process holds at a time: the system takes the lock back when its holder dies, however it dies.

The file has its holder's process id, for the error of whoever comes second.
"""

import fcntl
import os
from pathlib import Path


class LockedError(Exception):
    """Another process holds the file. ``holder`` is its id as it wrote it, empty where it has not yet."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is held by process {holder or 'unknown'}")
        self.holder = holder


def lock_file(path: Path) -> int:
    """Hold the file, made where there is none, until the returned descriptor is closed. Raises LockedError, OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException as error:
        holder = _read_holder(descriptor)
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise LockedError(path, holder) from error
        raise
    return descriptor


def lock_holder(path: Path) -> str | None:
    """The id of the process that holds the file (empty: not written yet); None where none does. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read_holder(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode("ascii", errors="replace").strip()
