"""``pulldriver import --influx``: logs of earlier runs beside each other in a real InfluxDB."""

import asyncio
from pathlib import Path

import pytest

from driver import cli
from tests.stack.influx import Influx

pytestmark = pytest.mark.real


async def test_logs_are_exported_from_influxdb_as_from_a_file(
    influx: Influx,
    bucket: str,
    study_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**influx.environment(), "INFLUXDB_V2_BUCKET": bucket}.items():
        monkeypatch.setenv(name, value)
    logs = study_data / "pulling-aws"

    async def run(line: str) -> str:
        assert await asyncio.to_thread(cli.run, line.split()) == 0, capfd.readouterr().err
        return capfd.readouterr().out

    for size in (4, 8):
        files = f"{logs}/events-size-{size}.json {logs}/nodes-{size}.json"
        for where in (f"--out file --run {size}", f"--out shared --run {size} --influx {influx.url}"):
            await run(f"import {files} --size {size} {where}")
    said = await run(f"import {logs}/events-size-4.json --size 4 --run 4 --out shared")
    assert "new records" not in said
    await run(f"import {logs}/manifests-config-layers.json --out shared")
    for table in ("pulls", "phases"):
        for directory in ("file", "shared"):
            await run(f"export {table} --out {directory} --to {directory}.csv")
        assert Path("shared.csv").read_bytes() == Path("file.csv").read_bytes()  # noqa: ASYNC240 - a test's own loop
    assert (await run(f"export pulls --run 8 --influx {influx.url}")).count("\n") == (
        await run("export pulls --run 8 --out file")
    ).count("\n")
    assert "9-layers-size" in await run("export layers --out shared")
