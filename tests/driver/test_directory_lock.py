"""One driver a directory."""

import os
from pathlib import Path

import pytest

from driver.commands.directory_lock import directory_lock, holder
from driver.errors import UsageError


def test_a_second_driver_is_told_who_has_the_directory(tmp_path: Path) -> None:
    with (
        directory_lock(tmp_path),
        pytest.raises(UsageError, match=f"in use by process {os.getpid()}"),
        directory_lock(tmp_path),
    ):
        raise AssertionError("two drivers hold one directory")


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    with directory_lock(tmp_path):
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None
    with directory_lock(tmp_path):
        assert holder(tmp_path) == os.getpid()


def test_a_directory_that_cannot_be_made_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/out: "), directory_lock(tmp_path / "file" / "out"):
        raise AssertionError("there is no such directory")
