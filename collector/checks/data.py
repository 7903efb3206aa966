"""The data directory: whether it can be written, has room for the spool, and holds what this version can read."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from collector.checks.finding import Finding, Findings, Place
from collector.configuration.quantity import ByteSize
from collector.spooling.spool import LOCK
from pullstudy.file_lock import lock_holder
from pullstudy.store.embedded.schema import FILE_NAME, VERSION

place = Place("data")


class DataCheck:
    """Of one data directory. It is not made where it is not there."""

    def __init__(self, directory: Path, spool_directory: Path, spool_limit: int, *, embedded: bool) -> None:
        """``embedded``: whether the store is in it too."""
        self._directory = directory
        self._spool_directory = spool_directory
        self._spool_limit = spool_limit
        self._embedded = embedded

    async def findings(self) -> Findings:
        """Stops at what makes the rest pointless."""
        there = _nearest(self._directory)
        written = self._writable(there)
        yield written
        if written.level != "ok":
            return
        yield self._room(there)
        yield self._lock()
        if self._embedded:
            yield self._store()

    def _writable(self, there: Path) -> Finding:
        try:
            with tempfile.NamedTemporaryFile(dir=there, prefix=".check-"):
                pass
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            return place.failed(
                "directory", f"{there} cannot be written: {why}", "give another --data-dir, or the right to write there"
            )
        if there == self._directory:
            return place.ok("directory", f"{there} can be written")
        return place.ok("directory", f"{self._directory} can be made in {there}")

    def _room(self, there: Path) -> Finding:
        free_bytes, limit = shutil.disk_usage(there).free, ByteSize(self._spool_limit)
        free = f"{free_bytes / (1 << 30):.1f}GiB"
        if free_bytes < limit:
            return place.warning(
                "room",
                f"{free} are free, the spool may take {limit} while the store is away, and a full disk stops it",
                "free space, or lower --spool-limit: then the watch is paused, and nothing is lost for as long as the "
                "cluster keeps its events",
            )
        return place.ok("room", f"{free} are free, the spool takes {limit} at most")

    def _lock(self) -> Finding:
        try:
            holder = lock_holder(self._spool_directory / LOCK)
        except OSError as error:
            return place.failed("spool", f"{self._spool_directory}: {error.strerror or error}", "look at its owner")
        if holder is not None:
            return place.warning(
                "spool", f"a collector (process {holder}) runs on it", "stop that one before another is started"
            )
        return place.ok("spool", f"no other collector runs on {self._spool_directory}")

    def _store(self) -> Finding:
        path = self._directory / FILE_NAME
        if not path.exists():
            return place.ok("store", f"{path} will be made")
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            return place.failed("store", f"{path} cannot be read: {error}", "give another --data-dir")
        if version not in (0, VERSION):
            return place.failed("store", f"{path} is of layout {version}, not {VERSION}", "give another --data-dir")
        return place.ok("store", f"{path} is there")


def _nearest(directory: Path) -> Path:
    """The directory, or the one that it would be made in."""
    for path in (directory, *directory.absolute().parents):
        if path.is_dir() or os.path.lexists(path):
            return path
    return Path("/")
