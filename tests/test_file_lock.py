"""One process holds a file."""

import os
from pathlib import Path

import pytest

from pullstudy.file_lock import LockedError, lock_file, lock_holder


def test_who_comes_second_is_told_the_holder_and_leaves_its_id_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    descriptor = lock_file(path)
    with pytest.raises(LockedError) as told:
        lock_file(path)
    assert told.value.holder == str(os.getpid()) == lock_holder(path)
    os.close(descriptor)
    assert lock_holder(path) is None
    os.close(lock_file(path))
