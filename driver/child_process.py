"""Child processes that never outlive the driver: the simulator and the collector."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

PR_SET_PDEATHSIG = 1  # source: Linux prctl(2)


async def start_child(
    argv: Sequence[str], log: Path, *, stdin: int, stdout: int, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start a command whose stderr goes to ``log``; its environment is ours unless another is given.

    In a session of its own, so that a terminal's Ctrl-C reaches only the driver, which ends its children in order;
    and it gets SIGTERM when the driver dies, however that comes about. Raises OSError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=errors,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid()),
        )


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """What the child runs between fork and exec; None where the system has no such signal."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before it was asked
            os._exit(1)

    return ask


async def end_child(process: asyncio.subprocess.Process, *, grace_seconds: float, whole_session: bool = False) -> int:
    """SIGTERM, then after the grace SIGKILL; the exit code. ``whole_session``: to all that it started, too.

    For that it has to have been started in a session of its own.
    """
    send = partial(os.killpg, process.pid) if whole_session else process.send_signal
    if process.returncode is None:
        with suppress(ProcessLookupError):
            send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                return await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                send(signal.SIGKILL)
    return await process.wait()


async def end_stranger(
    pid: int, marks: Sequence[str], *, grace_seconds: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """End a process that an earlier driver started, if it still runs and its command line bears all the marks."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(max(1, round(grace_seconds / 0.05))):
            if not bears(pid, marks):
                return
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            await sleep(0.05)


def bears(pid: int, marks: Sequence[str]) -> bool:
    """Whether the process lives and is the one meant: pids are used again."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return all(any(word == mark or word.endswith(f"/{mark}") for word in words) for mark in marks)


def last_line(log: Path) -> str:
    """What a dead child said last, for the user's line."""
    try:
        found = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        found = []
    return found[-1] if found else "it said nothing"
