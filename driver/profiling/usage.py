"""What a process has used so far, with those of its children that have ended, as Linux counts it in /proc.

Source: proc(5): ``stat`` (utime, stime, cutime, cstime, in ticks), ``io`` (a parent takes over what a child that it
waited for has read and written), ``net/dev`` (bytes received by each device of its network).
"""

import os
from pathlib import Path

import msgspec

from driver.errors import DriverError

PROC = Path("/proc")
_TIMES = slice(11, 15)  # behind the name, which may have spaces and ends with the last bracket
_RECEIVED = 0  # the first column behind a device's name


class UnknownUsageError(DriverError):
    """Nothing tells what the process used."""


class Usage(msgspec.Struct, frozen=True):
    """Since the process began; of two, what was used between them. What may not be read is None."""

    cpu_seconds: float  # of the process itself
    child_cpu_seconds: float  # of children that have ended: containerd's decompressors
    disk_read_bytes: int | None  # from the disk: what was in memory is none
    disk_written_bytes: int | None
    network_bytes: int | None  # received by its network, whoever asked for them; without loopback

    def since(self, before: "Usage") -> "Usage":
        return Usage(
            cpu_seconds=self.cpu_seconds - before.cpu_seconds,
            child_cpu_seconds=self.child_cpu_seconds - before.child_cpu_seconds,
            disk_read_bytes=_less(self.disk_read_bytes, before.disk_read_bytes),
            disk_written_bytes=_less(self.disk_written_bytes, before.disk_written_bytes),
            network_bytes=_less(self.network_bytes, before.network_bytes),
        )


def _less(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def usage_of(pid: int, proc: Path = PROC) -> Usage:
    """Raises UnknownUsageError where there is no such process."""
    process = proc / str(pid)
    try:
        fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError as error:
        raise UnknownUsageError(f"process {pid} has ended: the runtime was stopped or began anew; run again") from error
    own, own_system, child, child_system = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[_TIMES])
    io = _numbers(process / "io")
    return Usage(
        cpu_seconds=own + own_system,
        child_cpu_seconds=child + child_system,
        disk_read_bytes=io.get("read_bytes"),
        disk_written_bytes=io.get("write_bytes"),
        network_bytes=_received(process / "net" / "dev"),
    )


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name, a colon and a number; none where it may not be read."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {name: int(value) for name, _, value in (line.partition(":") for line in lines)}


def _received(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()[2:]
    except OSError:
        return None
    devices = (line.partition(":") for line in lines)
    return sum(int(counts.split()[_RECEIVED]) for name, _, counts in devices if name.strip() != "lo")
