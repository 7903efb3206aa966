"""A cgroup of its own for one process, with a limit on its memory: of version 2, or of version 1 where that is mounted.

What the kernel counts is anonymous memory, pages of files that were read and written, and the kernel's own for the
process. Over the limit it takes back pages of files, and then kills.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20


class NoLimitError(Exception):
    """No cgroup can be made here; ``str()`` says why."""


@dataclass(frozen=True)
class _Version:
    """Names of files."""

    most: str
    peak: str
    events: str  # with the count of kills
    under: Path


_VERSIONS = (
    _Version("memory.max", "memory.peak", "memory.events", ROOT),
    _Version("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control", ROOT / "memory"),
)


@dataclass(frozen=True)
class MemoryLimit:
    """``path`` is the cgroup's directory."""

    path: Path
    version: _Version

    def enter(self) -> None:
        """Of the process that calls it, and what it starts: to be called between fork and exec."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def peak_mib(self) -> float:
        """The most that was counted at a time."""
        return int((self.path / self.version.peak).read_text()) / MIB

    def kills(self) -> int:
        """How often the kernel killed a process for the limit."""
        lines = (self.path / self.version.events).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def memory_limit(name: str, most_bytes: int) -> Iterator[MemoryLimit]:
    """Gone at the end. Raises NoLimitError."""
    version = next((each for each in _VERSIONS if _has_memory(each)), None)
    if version is None:
        raise NoLimitError(f"no cgroup under {ROOT} counts memory")
    path = version.under / f"pullstudy-{os.getpid()}-{name}"
    try:
        path.mkdir()
    except OSError as error:
        raise NoLimitError(f"{path} cannot be made: {error.strerror}") from error
    try:
        yield _limited(MemoryLimit(path, version), most_bytes)
    finally:
        path.rmdir()


def _has_memory(version: _Version) -> bool:
    controllers = version.under / "cgroup.subtree_control"
    if version.under == ROOT:
        return controllers.exists() and "memory" in controllers.read_text().split()
    return (version.under / version.most).exists()


def _limited(limit: MemoryLimit, most_bytes: int) -> MemoryLimit:
    try:
        (limit.path / limit.version.most).write_text(str(most_bytes))
        limit.peak_mib()
    except OSError as error:
        raise NoLimitError(f"{limit.path}: {error.strerror}") from error
    return limit
