"""The collector as a child process."""

import asyncio
import fcntl
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from driver.clusters.collecting import LOCKED, Collector, collector_command
from driver.clusters.provider import Cluster
from driver.errors import CollectorProcessError
from tests.driver.scripted_api import kubeconfig_of

WATCHES = "import sys, time; print('watching', file=sys.stderr, flush=True); time.sleep(60)"


class Bystander:
    """Hears of processes, and sleeps without waiting."""

    def __init__(self, real_seconds: float = 0.005) -> None:
        self._real_seconds = real_seconds
        self.pids: list[int] = []
        self.notes: list[str] = []
        self.slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await asyncio.sleep(self._real_seconds)


def collector(
    directory: Path, bystander: Bystander, program: str, spans_to: Callable[[str], Awaitable[None]] | None = None
) -> Collector:
    return Collector(
        Cluster(name="sim-x-2", size=2, kubeconfig=directory / "kubeconfig", handle={}),
        "run1",
        directory,
        save_pid=bystander.pids.append,
        note=bystander.notes.append,
        spans_to=spans_to,
        sleep=bystander.sleep,
        command=[sys.executable, "-c", program],
    )


async def test_it_has_started_when_it_says_that_it_watches(tmp_path: Path) -> None:
    bystander = Bystander()
    child = collector(tmp_path, bystander, WATCHES)
    await child.start()
    assert len(bystander.pids) == 1
    await child.stop()
    await child.stop()


async def test_one_that_still_drains_is_waited_for(tmp_path: Path) -> None:
    marker = tmp_path / "tries"
    program = (
        f"import sys, pathlib; marker = pathlib.Path({str(marker)!r}); marker.open('a').write('x')\n"
        f"if len(marker.read_text()) < 3: sys.exit('collector: spool: {LOCKED}')\n{WATCHES}"
    )
    bystander = Bystander()
    child = collector(tmp_path, bystander, program)
    await child.start()
    assert len(bystander.pids) == 3
    assert bystander.slept >= 4.0
    await child.stop()


async def test_one_that_cannot_start_ends_it_with_its_last_words(tmp_path: Path) -> None:
    child = collector(tmp_path, Bystander(), "import sys; sys.exit('collector: no such cluster')")
    with pytest.raises(CollectorProcessError, match="sim-x-2 ended with code 1: collector: no such cluster"):
        await child.start()


async def test_one_that_never_watches_is_ended(tmp_path: Path) -> None:
    bystander = Bystander(real_seconds=0.0)
    child = collector(tmp_path, bystander, "import time; time.sleep(600)")
    with pytest.raises(CollectorProcessError, match="did not watch after 60 s"):
        await child.start()
    assert not psutil.pid_exists(bystander.pids[0])


async def test_one_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    bystander = Bystander()
    child = collector(tmp_path, bystander, "import sys; sys.exit('watching, but not for long')")
    await child.start()
    with pytest.raises(CollectorProcessError, match="ended with code 1"):
        await child.keep()
    assert len(bystander.notes) == 3


async def test_the_real_collector_says_that_it_is_locked_out_in_these_words(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(kubeconfig_of("http://127.0.0.1:1")))
    lock = tmp_path / "spool" / "sim-x-2" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        words = [*collector_command(), "--cluster", "sim-x-2", "--kubeconfig", str(kubeconfig)]
        words += ["--data-dir", str(tmp_path), "--connect-tries", "1"]
        child = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
        _, said = await child.communicate()
    assert LOCKED in said.decode()


async def test_at_each_start_it_is_told_where_spans_are_taken(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "assert sys.argv[-2:] == ['--otlp', '127.0.0.1:0']\n"
        "port = 40000 + os.getpid() % 10000\n"
        "print('spans are taken over http on 127.0.0.1, port', port, file=sys.stderr, flush=True)\n"
        "print('watching', file=sys.stderr, flush=True)\n"
        "time.sleep(0.3)\n"
        "sys.exit('enough')"
    )
    bystander, told = Bystander(), list[str]()

    async def tell(url: str) -> None:
        told.append(url)

    child = collector(tmp_path, bystander, program, tell)
    await child.start()
    with pytest.raises(CollectorProcessError, match="ended with code 1"):
        await child.keep()
    assert told == [f"http://127.0.0.1:{40000 + pid % 10000}" for pid in bystander.pids]
    assert len(told) == 4
