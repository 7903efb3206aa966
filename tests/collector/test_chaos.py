"""The collector on the simulator, through everything at once: the store holds exactly what happened."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.polling import until
from tests.collector.simulator import Simulator, simulator

NODES = 16
JOBS = 20  # the stream is cut in the middle of each one's events
KILLED_AFTER = (5, 10, 15)  # jobs
GONE_AT = {2: "status", 6: "line", 9: "now", 12: "status", 17: "line"}  # job: how the 410 comes
DOUBLED_AT = 12
WATCHING = "watching events of sim-chaos"


def starts(log: Path) -> int:
    """How often a collector began to watch."""
    return log.read_text().count(WATCHING) if log.exists() else 0


@asynccontextmanager
async def collector(sim: Simulator, directory: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A collector that watches; killed at the end if it still runs."""
    before = starts(log)
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from collector.cli import main; main()", "--cluster", "sim-chaos"),
            *("--kubeconfig", str(sim.kubeconfig), "--data-dir", str(directory)),
            stderr=stderr,
        )
    try:
        await until(lambda: starts(log) > before)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def stored(directory: Path) -> dict[tuple[str, str, int], PullRecord]:
    store = EmbeddedStore(directory, create=False)
    records = {record.identity: record for record in store.pulls()}
    store.close_now()
    return records


def identity(pull: dict[str, Any]) -> tuple[str, str, int]:
    return ("sim-chaos", pull["event_uid"], pull["count"])


async def run_job(sim: Simulator, number: int) -> None:
    """A job, and what goes wrong meanwhile."""
    if number == DOUBLED_AT:
        await sim.fault("duplicate-list", resource="events")
    how = GONE_AT.get(number)
    if how == "now":
        await sim.strike_open_watch("watch-gone", how=how)
    elif how is not None:
        await sim.fault("watch-gone", resource="events", how=how)
    await sim.run_job(f"pull-{number}-chonk-r1-a1", NODES, 9 + number)
    await sim.strike_open_watch("drop-watches")
    await sim.until_pulled(NODES * (number + 1))


async def test_20_disconnects_5_answers_410_3_kill_9_and_a_doubled_list_leave_exactly_what_happened(
    tmp_path: Path,
) -> None:
    random = Random(410)
    out, log = tmp_path / "out", tmp_path / "log"
    async with simulator(tmp_path, NODES) as sim:
        for first, end in pairwise((0, *KILLED_AFTER, JOBS)):
            async with collector(sim, out, log) as process:
                for number in range(first, end):
                    await run_job(sim, number)
                if end < JOBS:
                    await asyncio.sleep(random.uniform(0.0, 0.5))
                    process.kill()
                    await process.wait()
                else:
                    await until(lambda: len(stored(out)) >= NODES * JOBS)
                    process.terminate()
                    assert await process.wait() == 0
        assert await sim.faults_left() == []
        told = {identity(pull): pull for pull in await sim.truth()}
    records = stored(out)
    assert len(told) == NODES * JOBS
    missing, surplus = set(told) - set(records), set(records) - set(told)
    assert (len(missing), len(surplus)) == (0, 0)
    for key, pull in told.items():
        for column in ("node", "job", "pod", "pod_uid", "container", "image", "outcome"):
            assert getattr(records[key], column) == pull[column]
    assert starts(log) == 1 + len(KILLED_AFTER)
