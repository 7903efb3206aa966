"""One driver a directory: a lock that the system takes back when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driver.errors import UsageError

FILE_NAME = "driver.lock"


@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Hold the directory. Raises UsageError where another driver does, or where it cannot be written."""
    path = directory / FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"--out {directory}: {error.strerror}; give a directory that can be written") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{directory} is in use by process {_holder(path)}: wait for it, stop it, or give another --out"
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def holder(directory: Path) -> int | None:
    """The process that holds the directory now, or None."""
    path = directory / FILE_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = _holder(path)
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def _holder(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip() or "unknown"
