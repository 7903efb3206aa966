"""The commands of docs/tasks run, in their order, as they are printed: on a simulated cluster in place of yours."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "tasks"
BIN = Path(sys.executable).parent
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
KUBECTL = """#!/bin/sh
case "$*" in
  "get events --all-namespaces --output json") exec curl --silent --fail URL/api/v1/events ;;
  "get nodes --output json") exec curl --silent --fail URL/api/v1/nodes ;;
esac
echo "no answer to: kubectl $*" >&2
exit 1
"""

pytestmark = [pytest.mark.timeout(300)]


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Language, file and text of each, in order."""
    return [(found[1], found[2] or "", found[3]) for found in BLOCK.finditer((PAGES / page).read_text())]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Whose ~/.kube/config leads to a simulated cluster of four nodes; a kubectl that answers for it."""
    kubeconfig = tmp_path / ".kube" / "config"
    kubeconfig.parent.mkdir()
    words = ["sim", "--nodes", "4", "--kubeconfig", kubeconfig, "--exit-with-stdin"]
    with subprocess.Popen(
        [BIN / "pulldriver", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as sim:
        assert sim.stdin is not None
        assert sim.stdout is not None
        url = json.loads(sim.stdout.readline())["url"]
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "kubectl").write_text(KUBECTL.replace("URL", url))
        (tmp_path / "bin" / "kubectl").chmod(0o755)
        yield tmp_path
        sim.stdin.close()
        sim.wait(timeout=30)


def run(home: Path, script: str) -> str:
    """All commands of a page in one shell, which ends at the first that fails; what they print."""
    environment = {"HOME": str(home), "PATH": f"{home / 'bin'}:{BIN}:{os.environ['PATH']}", "COLUMNS": "120"}
    shell = subprocess.Popen(
        ["bash", "-meuc", script],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=240)
    except BaseException:
        os.killpg(shell.pid, signal.SIGKILL)
        raise
    assert shell.returncode == 0, said
    return said


def follow(home: Path, page: str, *changes: tuple[str, str]) -> str:
    """Write the page's files, run its commands, each change made in what is printed."""
    commands = []
    for language, file, text in blocks(page):
        for old, new in changes:
            text = text.replace(old, new)
        if language == "sh":
            commands.append(text)
        else:
            (home / file).write_text(text)
    return run(home, "\n".join(commands))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_measure_my_cluster(home: Path) -> None:
    said = follow(home, "measure-my-cluster.md")
    assert "12/12 accounted for" in said
    assert (home / "mine" / "report.html").exists()


def test_compare_two_registries(home: Path) -> None:
    """On clusters of the simulator's own: nothing removes images from the nodes of one that it serves."""
    said = follow(home, "compare-two-registries.md", (" --provider kubeconfig", ""))
    assert "first: first" in said
    assert "median pull" in said


def test_run_the_collector(home: Path) -> None:
    said = follow(home, "run-the-collector.md", ("9464", str(free_port())))
    assert "pullstudy_collector_watching" in said
    assert (home / "lab" / "report.html").exists()


def test_why_was_this_pull_slow(home: Path) -> None:
    study = next(text for language, _, text in blocks("measure-my-cluster.md") if language == "toml")
    (home / "study.toml").write_text(study.replace("[2, 4]", "[4]"))
    run(home, "pulldriver sweep --provider kubeconfig --study study.toml --out before --yes")
    said = follow(home, "why-was-this-pull-slow.md")
    assert "docker.io/library/python:3.12-slim" in said
    assert len((home / "phases.csv").read_text().splitlines()) == 1 + 2 + 8, "a line a job, a line a container"


def test_each_task_has_a_page_whose_commands_are_run() -> None:
    tested = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in PAGES.iterdir()} <= tested


def test_a_block_of_a_task_is_commands_or_a_file() -> None:
    for page in PAGES.iterdir():
        for language, file, text in blocks(page.name):
            assert (language == "sh") != bool(file), page.name
            assert language != "sh" or shlex.split(text, comments=True)
