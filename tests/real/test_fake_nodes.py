"""``pulldriver sweep --provider kwok``: its servers come from PATH and end with it, and every pull is accounted for."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.driver.swept import left_running, rows
from tests.stack.home import StackHome

pytestmark = [pytest.mark.real, pytest.mark.timeout(150)]


async def driver(home: StackHome | None, *words: str) -> tuple[int, str]:
    programs = [str(home.root / "bin")] if home else []
    path = os.pathsep.join([*programs, "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("pulldriver")),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PATH": path},
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_every_pull_of_fake_nodes_is_accounted_for(stack_home: StackHome, tmp_path: Path) -> None:
    study, out = tmp_path / "study.toml", tmp_path / "out"
    study.write_text('name = "fake"\n[images]\ntags = ["9-layers-size-1176249324-bytes"]\n[kwok]\nspeed = 60.0\n')
    words = ("sweep", "--provider", "kwok", "--sizes", "2,12", "--study", str(study), "--out", str(out))
    code, said = await driver(stack_home, *words)
    assert code == 0, said
    assert "14/14 accounted for" in said
    assert rows(out, "SELECT cluster, count(*) FROM pulls GROUP BY 1 ORDER BY 2") == [
        ("kwok-fake-2", 2),
        ("kwok-fake-12", 12),
    ]
    assert left_running(out) == []


async def test_programs_that_are_not_on_the_path_are_named(tmp_path: Path) -> None:
    code, said = await driver(None, "sweep", "--provider", "kwok", "--sizes", "2", "--out", str(tmp_path / "out"))
    assert code == 1
    assert "not on PATH: kube-apiserver, kube-controller-manager, kube-scheduler, kwok" in said
