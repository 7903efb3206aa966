"""One program of the stack: started, killed, frozen, thawed, stopped; it never outlives the test process.

It is the leader of a process group of its own, so that signals reach what it started too, and asks the kernel to be
killed with its parent (PR_SET_PDEATHSIG, by setpriv), so that a test run that is killed leaves nothing behind.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_LINES_SHOWN = 12
POLL_SECONDS = 0.01

KEPT = ("PATH", "HOME", "TMPDIR", "LANG")
"""All that a server sees of this process's environment: no proxy and no credential of the user's reaches it."""


class Process:
    """A command with a log file; it can be started again after it ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.directory = directory
        self.log = directory / f"{name}.log"
        self._environment = dict(environment or {})
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start it; its output is added to the log.

        Must be called on a thread that stays: the kernel kills the child when the thread that made it ends.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command],
                cwd=self.directory,
                env={name: os.environ[name] for name in KEPT if name in os.environ} | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """The process's id, while it runs."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended (a frozen one runs)."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What the last start ended with; negative is a signal's number, None while it runs."""
        return None if self._child is None else self._child.poll()

    def kill(self) -> None:
        """End it and all it started at once, as a crash of the machine would (SIGKILL)."""
        if self._child is not None and self.running:
            self._end_group(self._child)

    def freeze(self) -> None:
        """Stop it where it is (SIGSTOP): connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    async def stop(self, *, timeout_seconds: float = 20) -> None:
        """Ask it to end (SIGTERM) and wait; kill it after the time-out."""
        if self._child is None:
            return
        self.thaw()
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.ended()
                # What it started may need longer; the group is still its own while one of them is in it.
                while True:
                    if not _has_members(self._child.pid):
                        break
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            self._end_group(self._child)
        except BaseException:
            self._end_group(self._child)
            raise

    async def ended(self) -> int | None:
        """Wait until it ends by itself; its exit code. Returns at once if it does not run."""
        if self._child is not None and self.running:
            over = asyncio.Event()
            descriptor = os.pidfd_open(self._child.pid)
            asyncio.get_running_loop().add_reader(descriptor, over.set)
            try:
                await over.wait()
            finally:
                asyncio.get_running_loop().remove_reader(descriptor)
                os.close(descriptor)
        return self.exit_code

    def output(self) -> str:
        """What it wrote since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """The end of its output, for an error's text."""
        return "\n".join(self.output().splitlines()[-LOG_LINES_SHOWN:])

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self.running:
            _signal_group(self._child.pid, number)

    def _end_group(self, leader: subprocess.Popen[bytes]) -> None:
        _signal_group(leader.pid, signal.SIGKILL)
        leader.wait()
        while _has_members(leader.pid):
            time.sleep(POLL_SECONDS)


def _signal_group(group: int, number: signal.Signals) -> None:
    # Between looking and signalling the last member may have ended.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
