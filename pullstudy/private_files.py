"""Directories and files that their owner alone may read, whatever the umask: events name images, nodes and tenants."""

import os
from pathlib import Path

PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700


def make_private_directory(directory: Path) -> None:
    """Made where there is none, and those above it too, for its owner alone; what is there keeps its mode.

    Raises OSError.
    """
    if not directory.parent.exists():
        make_private_directory(directory.parent)
    try:
        directory.mkdir(_PRIVATE_DIRECTORY)
    except FileExistsError:
        if not directory.is_dir():
            raise
    else:
        directory.chmod(_PRIVATE_DIRECTORY)  # the umask took bits away


def make_private_file(path: Path) -> None:
    """An empty one where there is none; one that is there keeps its mode. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    except FileExistsError:
        return
    os.close(descriptor)
