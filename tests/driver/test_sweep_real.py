"""``pulldriver sweep --kafka --influx`` on real servers: InfluxDB then holds what the same sweep keeps in a file."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.protocol import Store
from pullstudy.store.selection import Selection
from tests.driver.sweeps import LARGE, SMALL, has_ledger, left_running, rows, write_study
from tests.notices import KeptNotices
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
END_SECONDS = 200
MET = "20"  # a speed at which a job lasts long enough to be met under way, on a busy machine too


class Driver:
    """``pulldriver`` with the server's secrets in its environment."""

    def __init__(self, influx: Influx, bucket: str, topic: str, out: Path) -> None:
        self.out = out
        self._settings = InfluxSettings(influx.url, influx.organisation, token=influx.token, bucket=bucket)
        self._environment = {
            **os.environ,
            "INFLUXDB_V2_ORG": influx.organisation,
            "INFLUXDB_V2_TOKEN": influx.token,
        }
        self.names = {"INFLUXDB_V2_BUCKET": bucket, "KAFKA_TOPIC": topic}

    @asynccontextmanager
    async def running(self, *words: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("pulldriver")),
            *words,
            *("--out", str(self.out)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._environment, **more},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def run(self, *words: str, **more: str) -> str:
        """To its good end; what it said."""
        async with self.running(*words, **more) as process:
            said, _ = await asyncio.wait_for(process.communicate(), END_SECONDS)
        assert process.returncode == 0, said.decode()
        return said.decode()

    @property
    def run_name(self) -> str:
        ((name,),) = rows(self.out, "SELECT run FROM runs")
        return str(name)

    async def read(self, what: Callable[[Store], Any]) -> Any:
        store = InfluxStore(self._settings, KeptNotices(), Random(1))
        return await asyncio.to_thread(what, store)

    async def until_in_ledger(self, sql: str, process: asyncio.subprocess.Process) -> None:
        async def there() -> bool:
            assert process.returncode is None
            return has_ledger(self.out) and bool(rows(self.out, sql))

        await until(there, 60, sql, poll_seconds=0.005)


@pytest.fixture
def driver(influx: Influx, bucket: str, topic: str, tmp_path: Path) -> Driver:
    return Driver(influx, bucket, topic, tmp_path / "out")


def pull_facts(pull: PullRecord) -> tuple[Any, ...]:
    """All that a seed decides: not the run's name and mark, no uids, no times of the clock."""
    job = (pull.job or "").split("-a1")[0]
    place = (pull.cluster, pull.size, pull.node, pull.namespace, job, pull.container, pull.outcome, pull.count)
    what = (pull.image, pull.repository, pull.tag, pull.digest, pull.image_bytes, pull.error)
    return (*place, *what, pull.pull_seconds, pull.waiting_seconds)


def milestone_facts(milestone: Milestone) -> tuple[Any, ...]:
    job = (milestone.job or "").split("-a1")[0]
    place = (milestone.cluster, milestone.size, milestone.node, milestone.namespace, job, milestone.container)
    return (*place, milestone.moment, milestone.witness, milestone.clock, milestone.count)


async def test_the_same_sweep_through_kafka_into_influxdb_and_into_its_own_file_leaves_equal_sets(
    driver: Driver, influx: Influx, kafka: Kafka, tmp_path: Path
) -> None:
    sizes = ("--sizes", "4..8")
    said = await driver.run("sweep", *sizes, "--kafka", kafka.bootstrap, "--influx", influx.url, **driver.names)
    assert "384/384 accounted for\n" in said
    bucket, topic = driver.names.values()
    assert f"in bucket {bucket} of InfluxDB {influx.url}, through topic {topic} of Kafka {kafka.bootstrap}" in said

    own = Driver(influx, bucket, topic, tmp_path / "own")
    await own.run("sweep", *sizes)
    file = EmbeddedStore(own.out, create=False)
    selection = Selection(runs=(driver.run_name,))
    pulls = await driver.read(lambda store: list(store.pulls(selection)))
    assert sorted(map(pull_facts, pulls), key=repr) == sorted(map(pull_facts, file.pulls()), key=repr)
    assert len({pull.identity for pull in pulls}) == 384
    milestones = await driver.read(lambda store: list(store.milestones(selection)))
    assert Counter(map(milestone_facts, milestones)) == Counter(map(milestone_facts, file.milestones()))
    file.close_now()

    assert rows(driver.out, "SELECT count(*) FROM pull_records") == [(0,)]
    audits = "SELECT size, expected, events, pod_status, stored, recovered FROM audits NATURAL JOIN jobs ORDER BY 1, 2"
    assert rows(driver.out, audits) == rows(own.out, audits)
    written = b"".join(path.read_bytes() for path in driver.out.rglob("*") if path.is_file())
    assert influx.token.encode() not in written
    assert left_running(driver.out) == []


async def test_a_sweep_killed_in_a_job_goes_on_without_being_told_where_its_records_are(
    driver: Driver, influx: Influx, tmp_path: Path
) -> None:
    study = write_study(tmp_path, LARGE, SMALL, speed=MET)
    words = ("--sizes", "3", "--study", str(study), "--influx", influx.url)
    async with driver.running("sweep", *words, **driver.names) as process:
        await driver.until_in_ledger("SELECT 1 FROM jobs WHERE position = 1 AND state = 'created'", process)
        command_lines = left_running(driver.out)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert len(command_lines) >= 3
    assert not any(influx.token in line for line in command_lines)

    said = await driver.run("sweep", "--resume", INFLUXDB_V2_BUCKET="another")
    assert "6/6 accounted for\n" in said
    pulls = await driver.read(lambda store: list(store.pulls(Selection(runs=(driver.run_name,)))))
    assert len({(pull.node, pull.image) for pull in pulls}) == len(pulls) == 6
    assert {pull.job for pull in pulls} == {
        job for (job,) in rows(driver.out, "SELECT job FROM jobs WHERE state = 'done'")
    }
    ((abandoned,),) = rows(driver.out, "SELECT job FROM jobs WHERE state = 'abandoned'")
    assert abandoned not in {pull.job for pull in pulls}


async def test_an_influxdb_that_is_away_for_a_while_is_waited_for_and_said(
    own_influx: Influx, topic: str, kafka: Kafka, tmp_path: Path
) -> None:
    driver = Driver(own_influx, own_influx.bucket, topic, tmp_path / "out")
    study = write_study(tmp_path, SMALL, LARGE, speed=MET)
    words = ("--sizes", "4", "--study", str(study), "--kafka", kafka.bootstrap, "--influx", own_influx.url)
    async with driver.running("sweep", *words, **driver.names) as process:
        await driver.until_in_ledger("SELECT 1 FROM jobs WHERE position = 0 AND state = 'created'", process)
        own_influx.kill()
        await asyncio.sleep(5)  # the job is over by then, and its pulls are asked for
        await own_influx.start()
        said, _ = await asyncio.wait_for(process.communicate(), END_SECONDS)
    assert process.returncode == 0, said.decode()
    assert re.search(rf"InfluxDB {re.escape(own_influx.url)}.*: Cannot connect to host", said.decode())
    assert f"InfluxDB {own_influx.url} answers again after" in said.decode()
    assert "8/8 accounted for\n" in said.decode()
    pulls = await driver.read(lambda store: list(store.pulls(Selection(runs=(driver.run_name,)))))
    assert len({pull.identity for pull in pulls}) == len(pulls) == 8


async def test_an_influxdb_that_stays_away_ends_the_sweep_with_its_cluster_taken_down(
    own_influx: Influx, topic: str, tmp_path: Path
) -> None:
    driver = Driver(own_influx, own_influx.bucket, topic, tmp_path / "out")
    study = write_study(tmp_path, SMALL, LARGE, speed=MET)
    study.write_text(study.read_text() + "store_seconds = 3.0\n")
    words = ("--sizes", "2", "--study", str(study), "--influx", own_influx.url)
    async with driver.running("sweep", *words) as process:
        await driver.until_in_ledger("SELECT 1 FROM jobs WHERE position = 0 AND state = 'created'", process)
        own_influx.kill()
        said, _ = await asyncio.wait_for(process.communicate(), END_SECONDS)
    assert process.returncode == 1
    *_, way_on, error = said.decode().splitlines()
    assert way_on == f"what was done is kept; go on with: pulldriver sweep --out {driver.out} --resume"
    assert error.startswith(
        f"pulldriver: InfluxDB {own_influx.url} was waited for 3 s (limits.store_seconds): InfluxDB"
    )
    assert rows(driver.out, "SELECT state FROM clusters") == [("down",)]
    assert left_running(driver.out) == []
    await own_influx.start()
    assert "4/4 accounted for\n" in await driver.run("sweep", "--resume")
