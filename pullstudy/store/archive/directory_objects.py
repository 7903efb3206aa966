"""Objects as files below a directory of the machine."""

import errno
import fcntl
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pullstudy.atomic_file import atomic_file
from pullstudy.private_files import PRIVATE_FILE, make_private_directory
from pullstudy.store.archive.objects import ConflictError, Listed, NoObjectError, Version
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
        """The file as it was opened, by its descriptor: what replaces it meanwhile, or deletes it, changes nothing.

        By its path, Parquet's readers, which open a file more than once, take the end of one and the pages of another.
        """
        with self._errors(key):
            try:
                descriptor = os.open(self._directory / key, os.O_RDONLY)
            except FileNotFoundError as error:
                raise self._missing(key) from error
        try:
            _leave_descriptors_for_others(descriptor)
            yield Path(f"/dev/fd/{descriptor}"), _version(os.fstat(descriptor))
        finally:
            os.close(descriptor)

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
                return _version(path.stat())
            except FileNotFoundError:
                return None

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
            if error.errno == errno.EMFILE:
                raise StoreError(
                    f"archive {self._directory}: too many files are open for {key}; let a process open more"
                    " (`ulimit -n`), or choose fewer clusters"
                ) from error
            raise StoreError(f"archive {self._directory}: {key}: {(error.strerror or str(error)).lower()}") from error


def _version(there: os.stat_result) -> Version:
    return f"{there.st_ino}-{there.st_mtime_ns}-{there.st_size}"


def _leave_descriptors_for_others(descriptor: int) -> None:
    """An archive of years has more partitions than the 1,024 files that a shell lets a process open unasked."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptor * 4 > allowed != most:
        with suppress(ValueError, OSError):  # a system that takes no such number: then what is allowed has to do
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
