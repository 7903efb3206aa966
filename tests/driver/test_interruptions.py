"""A driver that is killed, stopped or let down, and what is left of it."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from driver.errors import ProviderError
from driver.progress import JobSummary
from tests.driver.sweeps import (
    LARGE,
    REPOSITORY,
    SMALL,
    RecordedProgress,
    TruthfulSim,
    in_ledger,
    left_running,
    pulled,
    rows,
    run_command,
    run_sweep,
    small_study,
    start_command,
    write_study,
)

THIRD = "9-layers-size-2770722493-bytes"
PATIENCE_SECONDS = 90.0


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Until it is so; a process that ends before is a failure."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, "it never came to that"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.002)


MOMENTS = {
    "while the cluster is made": "SELECT 1 FROM clusters WHERE state = 'creating'",
    "when a job was announced": "SELECT 1 FROM jobs WHERE position = 0 AND state = 'created'",
    "when a job was over but not accounted for": "SELECT 1 FROM jobs WHERE position = 1 AND state = 'complete'",
    "when a job was done but not deleted": "SELECT 1 FROM jobs WHERE position = 2 AND state = 'done'",
}


@pytest.mark.timeout(300)  # it starts five sweeps
def test_a_sweep_killed_at_any_moment_goes_on_to_the_exact_set(tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = write_study(tmp_path, SMALL, LARGE, THIRD)
    arguments = ["sweep", "--out", str(out), "--sizes", "2", "--study", str(study)]
    for moment in MOMENTS.values():
        with start_command(*arguments) as process:
            wait_for(lambda moment=moment: in_ledger(out, moment), process)  # type: ignore[misc]
            process.kill()
        if "--resume" not in arguments:
            arguments.append("--resume")
    final = run_command(*arguments)
    assert final.returncode == 0, final.stderr
    expected = sorted((2, f"{REPOSITORY}:{tag}") for tag in (SMALL, LARGE, THIRD) for _ in range(2))
    assert [(size, image) for size, image, _ in pulled(out)] == expected
    assert len(set(pulled(out))) == 6
    assert "6/6 accounted for" in final.stdout
    assert "\\n" not in final.stdout
    assert rows(out, "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'abandoned')") == [(0,)]
    assert left_running(out) == []


def test_children_do_not_outlive_a_killed_driver_and_down_finds_nothing_more(tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = write_study(tmp_path, LARGE, SMALL)
    with start_command("sweep", "--out", str(out), "--sizes", "2", "--study", str(study)) as process:
        wait_for(lambda: in_ledger(out, "SELECT 1 FROM jobs WHERE position = 0 AND state <> 'planned'"), process)
        assert left_running(out)
        process.kill()
    wait_for(lambda: not left_running(out))
    told = run_command("status", "--out", str(out))
    assert "not running, and sim-test-2 may still exist: pulldriver down" in told.stdout
    down = run_command("down", "--out", str(out))
    assert (down.returncode, down.stdout) == (0, "sim-test-2: down\n")
    assert rows(out, "SELECT state FROM clusters") == [("down",)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_the_cluster_down_before_it_ends_the_sweep(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    study = write_study(tmp_path, LARGE, SMALL, speed="10")
    with start_command("sweep", "--out", str(out), "--sizes", "2,4", "--study", str(study)) as process:
        wait_for(lambda: in_ledger(out, "SELECT 1 FROM jobs WHERE state = 'created'"), process)
        process.send_signal(number)
        process.send_signal(number)
        said, complained = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert complained == "pulldriver: interrupted\n"
    assert f"{number.name}: stopping; the cluster is being taken down" in said
    assert said.endswith(f"what was done is kept; go on with: pulldriver sweep --out {out} --resume\n")
    assert rows(out, "SELECT state FROM clusters ORDER BY size") == [("down",), ("planned",)]
    assert left_running(out) == []


@pytest.mark.timeout(180)
def test_a_terminal_that_is_closed_under_the_live_display_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = write_study(tmp_path, LARGE, SMALL, speed="10")
    command = [str(Path(sys.executable).with_name("pulldriver")), "sweep", "--out", str(out), "--study", str(study)]
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("env", ["env", "--default-signal=HUP", *command, "--sizes", "2"])
    os.set_blocking(terminal, False)

    def has_a_job() -> bool:
        with suppress(BlockingIOError):
            os.read(terminal, 65536)  # or the driver waits for its terminal to be read
        return in_ledger(out, "SELECT 1 FROM jobs WHERE state = 'created'")

    wait_for(has_a_job)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert rows(out, "SELECT state FROM clusters") == [("down",)]
    assert left_running(out) == []


def test_a_sweep_that_began_with_sighup_ignored_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = write_study(tmp_path, SMALL, speed="10")
    with start_command("sweep", "--out", str(out), "--sizes", "2", "--study", str(study), nohup=True) as process:
        wait_for(lambda: in_ledger(out, "SELECT 1 FROM jobs WHERE state = 'created'"), process)
        process.send_signal(signal.SIGHUP)
        said, complained = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, complained) == (0, "")
    assert "2/2 accounted for" in said


class Meddler(RecordedProgress):
    """Does something to the sweep's processes when the first job is over."""

    def __init__(self, victim: str) -> None:
        super().__init__()
        self._victim = victim

    def job_ended(self, summary: JobSummary) -> None:
        super().job_ended(summary)
        if len(self.jobs) == 1:
            for process in psutil.Process().children():
                if any(word.endswith(self._victim) for word in process.cmdline()):
                    os.kill(process.pid, signal.SIGKILL)


async def test_a_collector_that_dies_is_started_again_and_loses_nothing(tmp_path: Path) -> None:
    provider, heard = TruthfulSim(), Meddler("collector")
    await run_sweep(small_study(SMALL, LARGE), tmp_path, provider, heard)
    assert any("ended with code -9" in note for note in heard.notes)
    assert heard.sizes == ["4/4 accounted for"]
    stored = rows(tmp_path, "SELECT event_uid, count FROM pulls ORDER BY 1")
    assert stored == sorted((row["event_uid"], row["count"]) for row in provider.truth)


async def test_a_cluster_that_is_lost_ends_the_sweep_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="the simulator of sim-test-2 ended with code -9"):
        await run_sweep(small_study(SMALL, LARGE), tmp_path, heard=Meddler("sim"))
    assert rows(tmp_path, "SELECT state FROM clusters") == [("down",)]
    assert left_running(tmp_path) == []
