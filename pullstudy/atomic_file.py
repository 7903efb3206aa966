"""Files that appear whole or not at all: a full disk, an interrupt or a power cut leaves what was there before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

USUAL_MODE = 0o666  # less what the umask takes away, as open() has it


@contextmanager
def atomic_file(path: Path, *, mode: int = USUAL_MODE) -> Iterator[BinaryIO]:
    """A file to write to, beside ``path``, renamed to it at the end; then it survives a power cut. Raises OSError.

    A target that is no regular file (a pipe, /dev/stdout) is written to directly. A link stays a link.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the rename could leave an empty file
        os.replace(draft, path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write that meets a full disk does not say of which file
        raise
    synchronise(path.parent)


def write_file(path: Path, content: bytes, *, mode: int = USUAL_MODE) -> None:
    """The whole content, in a directory that is made where there is none. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, mode=mode) as file:
        file.write(content)


def synchronise(path: Path) -> None:
    """A file's content, or a directory's names: else a new or renamed file may be lost. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
