"""The files that analysis writes for a user, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pullstudy.analysis.errors import OutputError
from pullstudy.atomic_file import atomic_file


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """As atomic_file. Raises OutputError."""
    try:
        with atomic_file(path) as file:
            yield file
    except OSError as error:
        raise OutputError(path, error.strerror or str(error)) from error
