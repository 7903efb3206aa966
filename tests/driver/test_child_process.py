"""Children end when they should, and strangers are left alone."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from driver.child_process import bears, end_child, end_stranger, last_line, start_child

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = await start_child([sys.executable, "-c", STUBBORN], tmp_path / "log", stdin=DEVNULL, stdout=PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"up\n"
    assert await end_child(child, grace_seconds=0.05) == -9
    assert await end_child(child, grace_seconds=0.05) == -9


async def test_a_stranger_is_ended_only_by_its_marks(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import time; time.sleep(60)", "collector", "sim-a-4"]
    child = await start_child(words, tmp_path / "log", stdin=DEVNULL, stdout=DEVNULL)
    await end_stranger(child.pid, ("collector", "sim-a-8"), grace_seconds=0.1)
    assert bears(child.pid, ("collector", "sim-a-4"))
    ended = asyncio.ensure_future(child.wait())
    await end_stranger(child.pid, ("collector", "sim-a-4"), grace_seconds=5)
    assert await ended == -15
    assert not bears(child.pid, ("collector", "sim-a-4"))


async def test_the_last_words_are_found(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    words = [sys.executable, "-c", "import sys; sys.stderr.write('first\\nlast\\n\\n')"]
    child = await start_child(words, log, stdin=DEVNULL, stdout=DEVNULL)
    assert await child.wait() == 0
    assert last_line(log) == "last"
    assert last_line(tmp_path / "absent") == "it said nothing"


def test_a_pid_that_nobody_has_bears_nothing() -> None:
    assert not bears(2**22 + 1, ("collector",))
    assert not bears(os.getpid(), ("no-such-mark",))
