"""Files that appear whole or not at all: a full disk or an interrupt leaves what was there before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pullstudy.analysis.errors import OutputError


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, beside ``path``, renamed to it at the end. Raises OutputError.

    A target that is no regular file (a pipe, /dev/stdout) is written to directly. A link stays a link.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        with _beside(path.resolve()) as file:
            yield file
    except OSError as error:
        raise OutputError(path, error.strerror or str(error)) from error


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the rename could leave an empty file
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
