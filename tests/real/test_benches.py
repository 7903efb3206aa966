"""The measurements on real servers run, on few events: what they print is in docs/measured.md."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.stack.machine import why_not
from tests.stack.network import why_no_network

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
FEW = ("--burst", "50", "--backoffs", "2", "--counts", "10")
WATCH = "exec {kubectl} --kubeconfig {kubeconfig} get events -n {namespace} --watch-only -o name > {directory}/out"


async def measured(bench: str, tmp_path: Path, *options: str, events: Sequence[str] = ("--events", "300")) -> Any:
    """The JSON that the bench writes."""
    file = tmp_path / "measured.json"
    command = [sys.executable, "-m", f"bench.{bench}", *events, "--json", str(file), *options]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    assert await child.wait() == 0
    return json.loads(file.read_text())


async def test_the_production_path_is_measured_undisturbed_and_with_kills(tmp_path: Path) -> None:
    measured_runs = await measured("production_path", tmp_path, *FEW, "--kills", "7")
    for run in measured_runs["runs"]:
        assert run["acknowledged"] == run["points"] == 300 + 2 * 10
        assert 0 < run["queryable_p50"] <= run["queryable_p99"] <= run["queryable_most"]
        assert run["used"].keys() == {"collector-0", "sink-0"}
    assert [len(run["faults"]) for run in measured_runs["runs"]] == [0, 8]


async def test_another_exporter_stands_beside_the_collector_on_the_same_burst(tmp_path: Path) -> None:
    rows = (await measured("exporters", tmp_path, "--beside", "kubectl", WATCH, "wc -l < {directory}/out"))["rows"]
    assert [row["name"] for row in rows][-1] == "kubectl"
    assert len(rows) == 4
    assert all(row["cpu_seconds_per_1000"] > 0 and row["peak_mib"] > 0 for row in rows)


async def test_what_is_put_into_real_pulls_is_set_beside_how_much_each_stage_grew(tmp_path: Path) -> None:
    if (reason := why_not() or why_no_network()) is not None:
        pytest.skip(reason)
    rows = (await measured("real_pulls", tmp_path, "truth", "--repeats", "1", events=()))["truth"]
    assert len({row["fault"] for row in rows}) == len(rows) == 5
    for row in rows:
        assert 0 < sum(row["stages"].values()) <= row["client"]
