"""One driver a directory: the lock that a command holds as long as it works there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driver.errors import UsageError
from pullstudy.file_lock import LockedError, lock_file, lock_holder
from pullstudy.private_files import make_private_directory

FILE_NAME = "driver.lock"


@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Hold the directory. Raises UsageError where another driver does, or where it cannot be written."""
    try:
        make_private_directory(directory)
        descriptor = lock_file(directory / FILE_NAME)
    except OSError as error:
        raise UsageError(f"--out {directory}: {error.strerror}; give a directory that can be written") from error
    except LockedError as error:
        raise UsageError(
            f"{directory} is in use by process {error.holder or 'unknown'}: wait for it, stop it, or give another --out"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def holder(directory: Path) -> int | None:
    """The process that holds the directory now, 0 where it has not said which it is; None: nobody does."""
    try:
        text = lock_holder(directory / FILE_NAME)
    except OSError:
        return None
    if text is None:
        return None
    return int(text) if text.isdigit() else 0
