"""Objects as files below a directory of the machine."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pullstudy.atomic_file import atomic_file
from pullstudy.private_files import PRIVATE_FILE, make_private_directory
from pullstudy.store.archive.objects import ConflictError, Listed, NoObjectError, Version
from pullstudy.store.archive.partition import INCOMING
from pullstudy.store.protocol import StoreError

LOCK = ".lock"


class DirectoryObjects:
    """Files appear by a rename, after their content is on the disk. The directory is made with the first of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def list(self, prefix: str) -> Iterator[Listed]:
        with self._errors(prefix):
            for directory, below, names in os.walk(self._directory / prefix):
                below.sort()
                for name in sorted(names):
                    path = Path(directory, name)
                    if name.startswith("."):  # a draft, which is renamed when it is whole
                        continue
                    try:
                        size = path.stat().st_size
                    except FileNotFoundError:
                        continue
                    yield Listed(path.relative_to(self._directory).as_posix(), size)

    @contextmanager
    def fetched(self, key: str, directory: Path) -> Iterator[tuple[Path, Version]]:
        path = self._directory / key
        version = self._version(path)
        if version is None:
            raise self._missing(key)
        if not key.startswith(INCOMING):  # a partition is replaced, and never deleted
            yield path, version
            return
        copy = directory / f"{uuid4().hex}.parquet"
        try:
            self._copy(key, copy)
            yield copy, version
        finally:
            copy.unlink(missing_ok=True)

    def _copy(self, key: str, copy: Path) -> None:
        with self._errors(key):
            try:
                shutil.copyfile(self._directory / key, copy)
            except FileNotFoundError as error:
                raise self._missing(key) from error

    def _missing(self, key: str) -> NoObjectError:
        return NoObjectError(f"archive {self._directory}: no {key}")

    def put(self, key: str, file: Path) -> None:
        with self._errors(key):
            self._write(self._directory / key, file)

    def replace(self, key: str, file: Path, version: Version | None) -> None:
        with self._errors(key), self._locked():
            path = self._directory / key
            if self._version(path) != version:
                raise ConflictError(f"archive {self._directory}: {key} was replaced by another")
            self._write(path, file)

    def delete(self, key: str) -> None:
        with self._errors(key):
            (self._directory / key).unlink(missing_ok=True)

    def _write(self, path: Path, file: Path) -> None:
        make_private_directory(path.parent)
        with file.open("rb") as source, atomic_file(path, mode=PRIVATE_FILE) as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def _version(self, path: Path) -> Version | None:
        with self._errors(path.name):
            try:
                there = path.stat()
            except FileNotFoundError:
                return None
        return f"{there.st_ino}-{there.st_mtime_ns}-{there.st_size}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time compares a version and renames; the system takes a dead one's lock back."""
        make_private_directory(self._directory)
        descriptor = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"archive {self._directory}: {key}: {(error.strerror or str(error)).lower()}") from error
