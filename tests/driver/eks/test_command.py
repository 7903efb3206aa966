"""``pulldriver sweep --provider eks`` as a user types it, on moto's server, its clusters' APIs served by simulators."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import NOTHING, everything
from tests.driver.swept import SMALL, left_running

pytestmark = pytest.mark.real  # a sweep and its moto take some seconds each


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    tunnel = [sys.executable, "-P", "-m", "sim", "--nodes", "{size}", "--port", str(unused_port())]
    tunnel += ["--kubeconfig", "{kubeconfig}", "--cluster", "{cluster}", "--exit-with-stdin"]
    path.write_text(
        f'name = "test"\n[images]\ntags = ["{SMALL}"]\n[limits]\nquiet_seconds = 0.3\n[eks]\ntunnel = {tunnel}\n'
        "[eks.patience]\npoll_seconds = 0.1\nsettle_seconds = 1.0\napi_seconds = 0.1\n"
    )
    return path


async def start(*words: str) -> Process:
    command = str(Path(sys.executable).with_name("pulldriver"))
    environment = {**os.environ, "NO_COLOR": "1"}
    return await asyncio.create_subprocess_exec(
        command, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
    )


async def run(*words: str) -> tuple[int | None, str]:
    process = await start(*words)
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


def sweep(out: Path, study: Path, *more: str) -> tuple[str, ...]:
    kubeconfig = ("--kubeconfig", str(study.with_name("F")))
    return ("sweep", "--provider", "eks", "--out", str(out), "--study", str(study), *kubeconfig, "--yes", *more)


async def test_a_sweep_of_4_to_16_nodes_accounts_for_every_pull_and_leaves_nothing(
    aws: AwsProxy, tmp_path: Path, study: Path
) -> None:
    code, said = await run(*sweep(tmp_path / "out", study, "--sizes", "4..16"))
    assert code == 0, said
    assert "28/28 accounted for" in said
    assert await everything() == NOTHING


STEPS = ("CreateStack", "CreateCluster", "CreateNodegroup", "DeleteNodegroup", "DeleteCluster", "DeleteStack")


@pytest.mark.parametrize("operation", STEPS)
async def test_a_signal_at_any_step_ends_with_nothing_left(
    aws: AwsProxy, tmp_path: Path, study: Path, operation: str
) -> None:
    process = await start(*sweep(tmp_path / "out", study, "--sizes", "2"))

    def interrupt() -> None:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)

    aws.then(operation, interrupt)
    out, err = await process.communicate()
    assert process.returncode == 130, (out + err).decode()
    assert await everything() == NOTHING


WAYS: dict[str, Callable[[Path, Path], tuple[str, ...]]] = {
    "down": lambda out, study: ("down", "--out", str(out)),
    "resume": lambda out, study: sweep(out, study, "--resume", "--sizes", "2"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", STEPS)
async def test_after_a_kill_at_any_step_the_next_command_leaves_nothing(
    aws: AwsProxy, tmp_path: Path, study: Path, operation: str, way: str
) -> None:
    out = tmp_path / "out"
    process = await start(*sweep(out, study, "--sizes", "2"))
    aws.then(operation, process.kill)
    await process.communicate()
    assert process.returncode == -signal.SIGKILL
    code, said = await run(*WAYS[way](out, study))
    assert code == 0, said
    assert await everything() == NOTHING
    assert left_running(out) == []
