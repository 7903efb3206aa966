"""Files whole or not at all."""

import errno
from pathlib import Path

import pytest

from pullstudy.atomic_file import atomic_file, write_file


def test_a_file_is_written_with_its_directory_and_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "made" / "secret"
    write_file(path, b"token", mode=0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"token", 0o600)


def write_half(path: Path) -> None:
    with atomic_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def test_what_was_there_stays_where_writing_ends_half_way(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


def test_a_disk_that_is_full_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, atomic_file(tmp_path / "report.html"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it: without a name
    assert caught.value.filename == str(tmp_path / "report.html")
