"""A sweep into a real InfluxDB tells the phases of its jobs as it goes; a study in a file is put there with them."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.influx import Influx

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
STUDY = """
name = "told"
[images]
tags = ["9-layers-size-1176249324-bytes", "125-layers-size-1176249324-bytes"]
"""
COUNT = (
    'from(bucket: "{bucket}") |> range(start: 2020-01-01T00:00:00Z, stop: 2040-01-01T00:00:00Z)'
    ' |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}") |> group() |> count()'
)


async def run(influx: Influx, bucket: str, *words: str | Path) -> str:
    command = [sys.executable, *map(str, words)]
    environment = os.environ | influx.environment() | {"INFLUXDB_V2_BUCKET": bucket}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


async def points(influx: Influx, bucket: str, measurement: str, field: str) -> int:
    rows = await influx.query(COUNT.format(bucket=bucket, measurement=measurement, field=field))
    return sum(int(row["_value"]) for row in rows)


@pytest.mark.parametrize("as_it_goes", [True, False], ids=["sweep --influx", "fill"])
async def test_the_phases_of_every_job_and_pod_are_told(as_it_goes: bool, influx: Influx, tmp_path: Path) -> None:
    bucket = f"told-{as_it_goes}"
    await influx.new_bucket(bucket)
    (tmp_path / "study.toml").write_text(STUDY)
    driver = Path(sys.executable).with_name("pulldriver")
    sweep = ("sweep", "--study", tmp_path / "study.toml", "--sizes", "4,8", "--out", tmp_path / "out")
    if as_it_goes:
        await run(influx, bucket, driver, *sweep, "--influx", influx.url)
    else:
        await run(influx, bucket, driver, *sweep)
        assert "24 pulls" in await run(influx, bucket, "-m", "dashboards", "fill", tmp_path / "out")
    assert await points(influx, bucket, "job_phases", "makespan_seconds") == 4
    assert await points(influx, bucket, "pod_phases", "started_seconds") == 24
    assert await points(influx, bucket, "pull", "cache") == await points(influx, bucket, "pull", "pull_seconds") == 24
