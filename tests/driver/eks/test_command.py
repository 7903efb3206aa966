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
from tests.driver.sweeps import SMALL, left_running
from tests.driver.terminal import Terminal

# A sweep and its moto take some seconds each, and on a busy machine more than a minute.
pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    tunnel = [sys.executable, "-P", "-m", "pullstudy.sim", "--nodes", "{size}", "--port", str(unused_port())]
    tunnel += ["--kubeconfig", "{kubeconfig}", "--cluster", "{cluster}", "--exit-with-stdin"]
    path.write_text(
        f'name = "test"\n[images]\ntags = ["{SMALL}"]\n[limits]\nquiet_seconds = 0.3\n[eks]\ntunnel = {tunnel}\n'
        "[eks.patience]\npoll_seconds = 0.1\nsettle_seconds = 1.0\napi_seconds = 0.1\n"
    )
    return path


async def start(*words: str) -> Process:
    # A shell lets what it starts in the background ignore Ctrl-C, and these tests with it.
    command = ("env", "--default-signal=INT,HUP", str(Path(sys.executable).with_name("pulldriver")))
    environment = {**os.environ, "NO_COLOR": "1"}
    return await asyncio.create_subprocess_exec(
        *command, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
    )


async def run(*words: str) -> tuple[int | None, str]:
    process = await start(*words)
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


def sweep(out: Path, study: Path, *more: str) -> tuple[str, ...]:
    kubeconfig = ("--kubeconfig", str(study.with_name("F")))
    return ("sweep", "--provider", "eks", "--out", str(out), "--study", str(study), *kubeconfig, "--yes", *more)


def resumed(out: Path, study: Path) -> tuple[str, ...]:
    """The study is in the directory."""
    kubeconfig = ("--kubeconfig", str(study.with_name("F")))
    return ("sweep", "--provider", "eks", *kubeconfig, "--out", str(out), "--resume", "--yes")


SWEEPS = ("per-size", "shared")


@pytest.mark.parametrize("mode", SWEEPS)
async def test_a_sweep_of_4_to_16_nodes_accounts_for_every_pull_and_leaves_nothing(
    aws: AwsProxy, tmp_path: Path, study: Path, mode: str
) -> None:
    code, said = await run(*sweep(tmp_path / "out", study, "--sizes", "4..16", "--eks-mode", mode))
    assert code == 0, said
    assert "28/28 accounted for" in said
    assert aws.asked.count("CreateCluster") == (3 if mode == "per-size" else 1)
    assert aws.asked.count("CreateNodegroup") == 3
    assert await everything() == NOTHING


@pytest.mark.parametrize("mode", SWEEPS)
async def test_a_sweep_of_4_to_16_nodes_goes_through_faults_that_pass(
    aws: AwsProxy, tmp_path: Path, study: Path, mode: str
) -> None:
    aws.refuse("CreateStack", "Throttling", 400)
    aws.lose("CreateCluster")
    aws.refuse("DescribeCluster", "ResourceNotFoundException", 404, times=2)
    aws.refuse("CreateNodegroup", "ServerException", 500, times=2)
    aws.lose("CreateNodegroup")
    aws.lose("DeleteNodegroup")
    aws.refuse("DeleteNodegroup", "ResourceInUseException", 409)
    aws.refuse("DescribeNetworkInterfaces", "RequestLimitExceeded", 503, times=2)
    aws.refuse("DeleteCluster", "ResourceInUseException", 409, "Cluster has nodegroups attached")
    aws.lose("DeleteCluster")
    aws.cut("DeleteStack", times=2)
    aws.lose("DeleteStack")
    code, said = await run(*sweep(tmp_path / "out", study, "--sizes", "4..16", "--eks-mode", mode))
    assert code == 0, said
    assert "28/28 accounted for" in said
    assert await everything() == NOTHING


# The mode, AWS' operation, and how many of it go well before.
STEPS = (
    ("per-size", "CreateStack", 0),
    ("per-size", "CreateCluster", 1),
    ("per-size", "CreateNodegroup", 2),
    ("per-size", "DeleteNodegroup", 0),
    ("per-size", "DeleteCluster", 1),
    ("per-size", "DeleteStack", 2),
    ("shared", "CreateStack", 0),
    ("shared", "CreateCluster", 0),
    ("shared", "CreateNodegroup", 0),
    ("shared", "CreateNodegroup", 1),
    ("shared", "DeleteNodegroup", 0),
    ("shared", "DeleteNodegroup", 2),
    ("shared", "DeleteCluster", 0),
    ("shared", "DeleteStack", 0),
)


@pytest.mark.parametrize(("mode", "operation", "after"), STEPS)
async def test_signals_at_any_step_end_with_nothing_left(
    aws: AwsProxy, tmp_path: Path, study: Path, mode: str, operation: str, after: int
) -> None:
    process = await start(*sweep(tmp_path / "out", study, "--sizes", "4..16", "--eks-mode", mode))

    def interrupt() -> None:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)

    aws.then(operation, interrupt, after=after)
    out, err = await process.communicate()
    assert process.returncode == 130, (out + err).decode()
    assert await everything() == NOTHING


@pytest.mark.parametrize(("mode", "operation", "after"), STEPS)
async def test_a_terminal_that_is_closed_at_any_step_leaves_nothing(
    aws: AwsProxy, tmp_path: Path, study: Path, mode: str, operation: str, after: int
) -> None:
    terminal = Terminal()
    words = sweep(tmp_path / "out", study, "--sizes", "4..16", "--eks-mode", mode)
    process = await terminal.start(str(Path(sys.executable).with_name("pulldriver")), *words)
    aws.then(operation, terminal.close, after=after)
    assert await process.wait() == 130, terminal.said
    assert await everything() == NOTHING
    assert left_running(tmp_path / "out") == []


WAYS: dict[str, Callable[[Path, Path], tuple[str, ...]]] = {
    "down": lambda out, study: ("down", "--out", str(out)),
    "resume": resumed,
}
RESUMED = (STEPS[2], STEPS[3], STEPS[9], STEPS[10])  # a sweep each: some are enough


@pytest.mark.parametrize(
    ("mode", "operation", "after", "way"),
    [*((*step, "down") for step in STEPS), *((*step, "resume") for step in RESUMED)],
)
async def test_after_a_kill_at_any_step_the_next_command_leaves_nothing(
    aws: AwsProxy, tmp_path: Path, study: Path, mode: str, operation: str, after: int, way: str
) -> None:
    out = tmp_path / "out"
    process = await start(*sweep(out, study, "--sizes", "4..16", "--eks-mode", mode))
    aws.then(operation, process.kill, after=after)
    await process.communicate()
    assert process.returncode == -signal.SIGKILL
    code, said = await run(*WAYS[way](out, study))
    assert code == 0, said
    assert await everything() == NOTHING
    assert left_running(out) == []
    if way == "resume":
        assert "28/28 accounted for" in said


async def test_a_size_that_cannot_be_made_takes_the_control_plane_of_those_before_with_it(
    aws: AwsProxy, tmp_path: Path, study: Path
) -> None:
    aws.refuse_after("CreateNodegroup", 1, "AccessDeniedException", 403)
    code, said = await run(*sweep(tmp_path / "out", study, "--sizes", "4..16", "--eks-mode", "shared"))
    assert code == 1
    assert "not authorized" in said
    assert f"go on with: pulldriver {' '.join(resumed(tmp_path / 'out', study))}" in said
    assert await everything() == NOTHING


async def test_nothing_is_made_where_nobody_can_be_asked(aws: AwsProxy, tmp_path: Path, study: Path) -> None:
    words = [word for word in sweep(tmp_path / "out", study, "--sizes", "4") if word != "--yes"]
    code, said = await run(*words)
    assert code == 2
    assert f"run: pulldriver {' '.join(words)} --yes" in said
    assert aws.asked == []
