"""Sweeps on the simulator, in this process or as the command, small enough to be run often."""

import json
import os
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.planning.study import ClusterPlan, Images, JobPlan, Limits, RunPlan, SimPlan, Study
from driver.progress import JobSummary, JobTally
from driver.providers.sim import SimProvider
from driver.sweep import Sweep, SweepResult, wall_clock
from pullstudy.store.embedded.ledger import JobRow, Ledger
from pullstudy.store.embedded.store import EmbeddedStore

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
SMALL, LARGE = "9-layers-size-1176249324-bytes", "125-layers-size-2770722493-bytes"
LIMITS = Limits(quiet_seconds=0.3, drain_seconds=20.0, pods_gone_seconds=20.0, cache_clear_seconds=20.0)


def small_study(*tags: str, size: int = 2, faults: tuple[dict[str, Any], ...] = (), **run: Any) -> Study:
    return Study(
        name="test",
        cluster=ClusterPlan(sizes=(size,)),
        images=Images(tags=tags or (SMALL, LARGE)),
        run=msgspec.convert(run, RunPlan),
        job=JobPlan(),
        limits=LIMITS,
        sim=SimPlan(faults=faults),
    )


class RecordedProgress:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.jobs: list[JobSummary] = []
        self.sizes: list[str] = []
        self.done: list[str] = []  # what was being done, with what was found

    def note(self, text: str) -> None:
        self.notes.append(text)

    def doing(self, what: str, found: str = "") -> None:
        told = f"{what}: {found}" if found else what
        if not self.done or self.done[-1] != told:
            self.done.append(told)

    def size_begun(self, cluster: str, size: int, jobs: int) -> None:
        pass

    def size_started(self, cluster: str, size: int, jobs: int) -> None:
        pass

    def job_started(self, row: JobRow, number: int, jobs: int) -> None:
        pass

    def tally(self, tally: JobTally) -> None:
        pass

    def job_ended(self, summary: JobSummary) -> None:
        self.jobs.append(summary)

    def size_ended(self, cluster: str, accounted: str) -> None:
        self.sizes.append(accounted)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class TruthfulSim(SimProvider):
    """Asks each simulator what really happened before it is taken down."""

    def __init__(self) -> None:
        super().__init__()
        self.truth: list[dict[str, Any]] = []
        self._url = ""

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        cluster = await super().up(order, save)
        self._url = cluster.handle["url"]
        return cluster

    def inject(self, fault: dict[str, Any]) -> None:
        """Make something go wrong now."""
        request = urllib.request.Request(f"{self._url}/sim/faults", data=json.dumps(fault).encode())
        urllib.request.urlopen(request).close()

    async def down(self, name: str, handle: Handle) -> None:
        if "url" in handle:
            with urllib.request.urlopen(f"{handle['url']}/sim/truth") as answer:  # noqa: ASYNC210 - a test's own loop
                self.truth.extend(json.load(answer))
        await super().down(name, handle)


async def run_sweep(
    study: Study,
    directory: Path,
    provider: SimProvider | None = None,
    heard: RecordedProgress | None = None,
    now: Callable[[], datetime] = wall_clock,
) -> tuple[SweepResult, RecordedProgress]:
    """Run the study to its end."""
    heard = heard or RecordedProgress()
    provider = provider or SimProvider()
    with closing(Ledger(directory, create=True)) as ledger:
        store = EmbeddedStore(directory, create=True)
        try:
            return await Sweep(study, provider, directory, ledger, store, now=now).run(heard), heard
        finally:
            await provider.close()
            store.close_now()


def rows(directory: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What a user's own SQLite shell finds."""
    with closing(sqlite3.connect(directory / "study.sqlite3")) as shell:
        return shell.execute(sql, values).fetchall()


def in_ledger(directory: Path, sql: str) -> bool:
    """Whether the query finds anything by now."""
    try:
        return bool(rows(directory, sql))
    except Exception as error:
        if "no such table" in str(error) or "unable to open" in str(error):
            return False
        raise


def has_ledger(directory: Path) -> bool:
    """Whether a sweep that was just started has got so far."""
    return (directory / "study.sqlite3").exists() and bool(
        rows(directory, "SELECT 1 FROM sqlite_master WHERE name = 'jobs'")
    )


def pulled(directory: Path) -> list[tuple[Any, ...]]:
    return rows(directory, "SELECT size, image, node FROM pulls WHERE outcome = 'pulled' ORDER BY 1, 2, 3")


def write_study(directory: Path, *tags: str, speed: str = "max") -> Path:
    """A study.toml for the command. At a speed of its own a job lasts long enough to be met under way."""
    path = directory / "study.toml"
    names = ", ".join(f'"{tag}"' for tag in tags)
    path.write_text(
        f'name = "test"\n[images]\ntags = [{names}]\n[sim]\nspeed = "{speed}"\n[limits]\nquiet_seconds = 0.3\n'
    )
    return path


def start_command(*arguments: str, nohup: bool = False) -> subprocess.Popen[str]:
    """``pulldriver``, as a user starts it. What a test runs in may ignore SIGHUP itself."""
    command = ["env", f"--{'ignore' if nohup else 'default'}-signal=HUP"]
    command += [str(Path(sys.executable).with_name("pulldriver")), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    )


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    with start_command(*arguments) as process:
        out, err = process.communicate(timeout=50)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def left_running(directory: Path) -> list[str]:
    """Simulators and collectors that work for this directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if any(str(directory) in word for word in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(words))
    return found
