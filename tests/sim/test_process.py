"""The simulator as a process: how it begins, how it ends, and what it says to wrong use."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "pullstudy.sim",
        "--nodes",
        "3",
        "--kubeconfig",
        str(tmp_path / "k" / "config"),
        "--exit-with-stdin",
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPOSITORY, **pipes) as process:  # type: ignore[call-overload]
        yield process
        process.kill()


def test_it_says_when_it_is_ready_and_ends_with_its_parent(running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert running.stdout is not None
    assert running.stdin is not None
    ready = json.loads(running.stdout.readline())
    assert ready["ready"] is True
    with urlopen(ready["url"] + "/api/v1/nodes") as answer:
        assert len(json.load(answer)["items"]) == 3
    config = json.loads((tmp_path / "k" / "config").read_text())
    assert config["clusters"][0]["cluster"]["server"] == ready["url"]
    assert config["current-context"] == ready["cluster"] == "sim-cluster"
    running.stdin.close()
    assert running.wait(10) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_signals_end_it_without_a_trace(running: subprocess.Popen[bytes], number: int, code: int) -> None:
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    os.kill(running.pid, number)
    assert running.wait(10) == code
    assert running.stderr.read() == b""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--speed", "fast"], "--speed"),
        (["--speed", "-1"], "--speed"),
        (["--profile", "azure"], "--profile"),
        (["--version", "2.0"], "Kubernetes version"),
        (["--faults", "/no/such/file"], "/no/such/file"),
        (["--model", "/no/such/file"], "/no/such/file"),
        (["--start-at", "yesterday"], "--start-at 'yesterday': write it as 2026-01-31T12:00:00Z"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer.testing

    from pullstudy.sim.cli import app

    result = typer.testing.CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_file_of_faults_that_is_none_is_told(tmp_path: Path) -> None:
    import typer.testing

    from pullstudy.sim.cli import app

    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "nothing-of-the-kind"}]')
    result = typer.testing.CliRunner().invoke(app, ["--faults", str(faults)])
    assert result.exit_code == 2
    assert "nothing-of-the-kind" in result.stderr


def test_a_taken_port_is_told() -> None:
    import socket

    import typer.testing

    from pullstudy.sim.cli import app

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = typer.testing.CliRunner().invoke(app, ["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "--port" in result.stderr
