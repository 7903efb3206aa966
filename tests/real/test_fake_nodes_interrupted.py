"""``pulldriver sweep --provider kwok`` that is interrupted, at each step of its way up and down: nothing is left."""

import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.driver.sweeps import in_ledger, left_running, rows
from tests.driver.terminal import Terminal
from tests.real.test_fake_nodes import driver, write_study
from tests.stack.home import StackHome
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

Way = Callable[[Process, Terminal], None]


def by_signal(number: signal.Signals) -> Way:
    return lambda process, _: process.send_signal(number)


def close(_: Process, terminal: Terminal) -> None:
    terminal.close()


def press_ctrl_c(_: Process, terminal: Terminal) -> None:
    terminal.type(b"\x03")


TERM, HUP = by_signal(signal.SIGTERM), by_signal(signal.SIGHUP)


def started(program: str) -> str:
    """The handle numbers each program once it is started."""
    return f"""SELECT 1 FROM clusters WHERE handle LIKE '%"{program}":%'"""


# What is in the ledger by then, and how it ends.
MOMENTS: dict[str, tuple[str, Way]] = {
    "announced": ("SELECT 1 FROM clusters WHERE state = 'creating'", HUP),
    "etcd": (started("etcd"), close),
    "API server": (started("kube-apiserver"), press_ctrl_c),
    "controllers": (started("kube-controller-manager"), TERM),
    "kwok": (started("kwok"), close),
    "kubelets": (started("kubelets"), HUP),
    "up": ("SELECT 1 FROM clusters WHERE state = 'up'", press_ctrl_c),
    "job": ("SELECT 1 FROM jobs WHERE state = 'created'", close),
    "job accounted for": ("SELECT 1 FROM jobs WHERE state = 'done'", TERM),
    "going down": ("SELECT 1 FROM clusters WHERE state = 'deleting'", close),
    "second size": ("SELECT 1 FROM clusters WHERE size = 3 AND state = 'creating'", HUP),
}


@pytest.mark.parametrize(("moment", "end"), MOMENTS.values(), ids=list(MOMENTS))
async def test_however_and_whenever_a_sweep_is_ended_nothing_is_left_and_it_can_go_on(
    stack_home: StackHome, tmp_path: Path, moment: str, end: Way
) -> None:
    out, temporary, terminal = tmp_path / "out", tmp_path / "tmp", Terminal()
    temporary.mkdir()
    path = os.pathsep.join([str(stack_home.root / "bin"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    words = ["sweep", "--provider", "kwok", "--sizes", "2,3", "--study", str(write_study(tmp_path)), "--out", str(out)]
    process = await terminal.start(
        str(Path(sys.executable).with_name("pulldriver")), *words, PATH=path, TMPDIR=str(temporary)
    )

    async def has_come() -> bool:
        assert process.returncode is None, terminal.said
        return in_ledger(out, moment)

    await until(has_come, 90, "the moment", poll_seconds=0.02)
    end(process, terminal)
    assert await process.wait() == 130, terminal.said
    terminal.close()
    assert left_running(out) == []
    assert list(temporary.iterdir()) == []
    assert list(out.glob("clusters/*/etcd")) == []
    for state, handle in rows(out, "SELECT state, handle FROM clusters"):
        assert state in ("down", "planned")
        assert not any(psutil.pid_exists(pid) for pid in numbers(handle))
    if moment == MOMENTS["job"][0]:  # each would be a sweep more
        code, said = await driver(stack_home, "sweep", "--provider", "kwok", "--out", str(out), "--resume")
        assert (code, "10/10 accounted for" in said) == (0, True), said


def numbers(handle: str | None) -> list[int]:
    kept = msgspec.json.decode(handle or "{}")
    return list((kept.get("provider") or {}).get("pids", {}).values())
