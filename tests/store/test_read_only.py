"""A study's file is opened to be read while others open and close it."""

import sqlite3
from contextlib import closing
from pathlib import Path, PosixPath

from pullstudy.store.embedded.read_only import connect_to_read


class TakenAway(PosixPath):
    """A file that is gone once it was looked for: whoever had the database open has closed it."""

    def exists(self) -> bool:
        there = super().exists()
        self.unlink(missing_ok=True)
        return there


def test_files_that_a_writer_takes_away_between_a_look_and_the_opening_are_looked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite3"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE kept (number)")
    for each in ("wal", "shm"):
        (tmp_path / f"study.sqlite3-{each}").touch()
    with closing(connect_to_read(TakenAway(path), busy_seconds=1.0)) as reader:
        assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
