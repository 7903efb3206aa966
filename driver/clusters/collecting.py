"""The collector of one cluster, as a child process: started as a user would, watched, and made to drain at the end."""

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from driver.child_process import end_child, last_line, start_child
from driver.clusters.provider import Cluster
from driver.errors import CollectorProcessError
from pullstudy.polling import Sleep, every, polls
from pullstudy.store.destination import Destination

WATCHING = "watching"  # the word of its first line on stderr once the first list is done
TAKES_SPANS = re.compile(rb"spans are taken over http on 127\.0\.0\.1, port ([0-9]+)")
START_SECONDS = 60.0
STOP_SECONDS = 60.0  # it gives itself 20 to drain
LOCKED = "another collector"
STARTS = 15  # with the pauses as long as a collector may drain
RETRY_SECONDS = 2.0
PACE = every(0.02)
# What a user's own collectors store to is not what this run's does.
OUTPUT_VARIABLES = ("PULLSTUDY_COLLECTOR_KAFKA", "PULLSTUDY_COLLECTOR_INFLUX", "PULLSTUDY_COLLECTOR_CONFIG")
RESTARTS = 3  # of a collector that died: its spool and checkpoint make it go on where it was


class Collector:
    """One ``collector`` command. ``save_pid`` is told each process, so that a later driver can end it."""

    def __init__(
        self,
        cluster: Cluster,
        run: str,
        directory: Path,
        *,
        save_pid: Callable[[int], None],
        note: Callable[[str], None],
        destination: Destination = Destination(),  # noqa: B008 - immutable
        spans_to: Callable[[str], Awaitable[None]] | None = None,
        sleep: Sleep = asyncio.sleep,
        command: Sequence[str] | None = None,
    ) -> None:
        """``command`` is the collector's; the one that is installed beside this Python if not given.

        ``spans_to`` is told where spans are taken, at each start; without it they are not.
        """
        self._cluster = cluster
        self._argv = [
            *(command or collector_command()),
            *("--cluster", cluster.name, "--kubeconfig", str(cluster.kubeconfig), "--data-dir", str(directory)),
            # The driver reads its pods itself, before it deletes them: it knows what their nodes held before.
            *("--run", run, "--size", str(cluster.size), "--no-reconcile"),
            *destination.flags(),
            *(("--otlp", "127.0.0.1:0") if spans_to else ()),
        ]
        self._environment = collector_environment(os.environ, destination)
        self._log = directory / "logs" / f"{cluster.name}.collector.log"
        self._spans_to = spans_to
        self._save_pid = save_pid
        self._note = note
        self._sleep = sleep
        self._process: Process | None = None

    async def start(self) -> None:
        """Return when it watches: no event from now on is missed. Raises CollectorProcessError."""
        for left in range(STARTS - 1, -1, -1):
            try:
                return await self._start_once()
            except CollectorProcessError:
                if not left or not self._locked_out():
                    raise
                # One that an earlier, killed driver had started still drains, and holds the spool's lock.
                await self._sleep(RETRY_SECONDS)

    async def _start_once(self) -> None:
        offset = self._log.stat().st_size if self._log.exists() else 0
        self._process = await start_child(
            self._argv, self._log, stdin=DEVNULL, stdout=DEVNULL, environment=self._environment
        )
        self._save_pid(self._process.pid)
        async for _ in polls(PACE, START_SECONDS, sleep=self._sleep):
            said = self._said(offset)
            port = TAKES_SPANS.search(said)
            if WATCHING.encode() in said and (port or self._spans_to is None):
                if self._spans_to is not None and port:
                    await self._spans_to(f"http://127.0.0.1:{port[1].decode()}")
                return
            if self._process.returncode is not None:
                raise CollectorProcessError(self._death())
        await end_child(self._process, grace_seconds=0)  # the next one needs its lock
        raise CollectorProcessError(f"the collector of {self._cluster.name} did not watch after {START_SECONDS:.0f} s")

    async def keep(self) -> NoReturn:
        """Start it again when it dies; raise CollectorProcessError when it has died too often."""
        for _ in range(RESTARTS):
            assert self._process is not None
            await self._process.wait()
            self._note(f"{self._death()}; it is started again and goes on from its checkpoint")
            await self.start()
        assert self._process is not None
        await self._process.wait()
        raise CollectorProcessError(self._death())

    async def stop(self) -> None:
        """Let it bring what it has into the store, and end it."""
        if self._process is not None:
            await end_child(self._process, grace_seconds=STOP_SECONDS)

    def _said(self, offset: int) -> bytes:
        with self._log.open("rb") as log:
            log.seek(offset)
            return log.read()

    def _locked_out(self) -> bool:
        return LOCKED in last_line(self._log)

    def _death(self) -> str:
        assert self._process is not None
        return (
            f"the collector of {self._cluster.name} ended with code {self._process.returncode}: {last_line(self._log)}"
        )


def collector_environment(ours: Mapping[str, str], destination: Destination) -> dict[str, str]:
    """Ours, secrets included, with the names of the run's own topic and bucket."""
    return {name: value for name, value in ours.items() if name not in OUTPUT_VARIABLES} | destination.environment()


def collector_command() -> list[str]:
    """The command that was installed beside this Python, or else the one on PATH. Raises CollectorProcessError."""
    beside = Path(sys.executable).with_name("collector")
    found = str(beside) if beside.exists() else shutil.which("collector")
    if found is None:
        raise CollectorProcessError(
            "the command 'collector' is not installed beside pulldriver; install the package again"
        )
    return [found]
