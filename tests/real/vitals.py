"""Memory, descriptors, threads and CPU time of processes and what they started, looked at again and again."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from tests.stack.process import Process


@dataclass(frozen=True)
class Reading:
    """One look at one process."""

    at_seconds: float  # since the first look
    pid: int
    resident_bytes: int
    descriptors: int
    threads: int
    cpu_seconds: float


class Vitals:
    """Of processes that may end and be started again meanwhile. Run it as a task, and cancel it."""

    def __init__(self, processes: Mapping[str, Process], pause_seconds: float = 0.25) -> None:
        self._processes = processes
        self._pause_seconds = pause_seconds
        self._began = time.monotonic()
        self.readings: dict[str, list[Reading]] = {name: [] for name in processes}

    async def run(self) -> None:
        """For ever."""
        while True:
            self.look()
            await asyncio.sleep(self._pause_seconds)

    def look(self) -> None:
        """Once."""
        for name, process in self._processes.items():
            if process.pid is not None and (reading := self._read(process.pid)) is not None:
                self.readings[name].append(reading)

    def _read(self, pid: int) -> Reading | None:
        try:
            leader = psutil.Process(pid)
            tree = [leader, *leader.children(recursive=True)]
            used = [(each.memory_info().rss, each.num_fds(), each.num_threads(), _cpu(each)) for each in tree]
        except psutil.NoSuchProcess:  # ended just now
            return None
        resident, descriptors, threads, cpu_seconds = (sum(column) for column in zip(*used, strict=True))
        at = time.monotonic() - self._began
        return Reading(at, pid, int(resident), int(descriptors), int(threads), cpu_seconds)

    def peak_bytes(self, name: str) -> int:
        """The most memory that it was seen with."""
        return max(reading.resident_bytes for reading in self.readings[name])

    def cpu_seconds(self, name: str) -> float:
        """Of all its starts together, up to the last look at each."""
        last = {reading.pid: reading.cpu_seconds for reading in self.readings[name]}
        return sum(last.values())

    def between(self, name: str, start_share: float, end_share: float) -> list[Reading]:
        """The readings of a stretch of the whole time."""
        whole = max(reading.at_seconds for readings in self.readings.values() for reading in readings)
        return [each for each in self.readings[name] if start_share * whole <= each.at_seconds <= end_share * whole]


def _cpu(process: psutil.Process) -> float:
    # Of children that ended too, once they were waited for.
    used = process.cpu_times()
    return float(used.user + used.system + used.children_user + used.children_system)
