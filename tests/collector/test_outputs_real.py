"""The ``collector`` command with real servers behind it: --kafka, --influx, both, and ``collector sink``."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from pullstudy.pulls.batch import Reject
from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from tests.collector.api_server import ApiServer, serving, stream, write_kubeconfig
from tests.collector.kube_events import event
from tests.collector.scraping import Endpoint
from tests.notices import KeptNotices
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.wait import until as wait_until

pytestmark = pytest.mark.real
# A sink that was killed keeps its share for a session of 30 s, in the middle of a rebalance for longer.
STORED_SECONDS = 180
COMMAND = (sys.executable, "-c", "from collector.cli import main; main()")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as server:
        yield server


class Command:
    """Runs ``collector`` with the servers' settings in its environment."""

    def __init__(self, influx: Influx, bucket: str, topic: str, kubeconfig: Path, directory: Path) -> None:
        self._settings = InfluxSettings(influx.url, influx.organisation, token=influx.token, bucket=bucket)
        self._environment = {
            **os.environ,
            **influx.environment(),
            "INFLUXDB_V2_BUCKET": bucket,
            "KAFKA_TOPIC": topic,
        }
        self._log = directory / "log"
        self.watch = ("--cluster", "sim-t", "--kubeconfig", str(kubeconfig), "--data-dir", str(directory / "out"))

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stderr=log, env=self._environment)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def stop(self, process: asyncio.subprocess.Process) -> None:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 40) == 0, self._log.read_text()

    async def pulls(self) -> list[PullRecord]:
        store = InfluxStore(self._settings, KeptNotices(), Random(1))
        return await asyncio.to_thread(lambda: list(store.pulls()))

    def has_published(self, records: int) -> Callable[[], Awaitable[bool]]:
        """Asks the collector that listens, by its metrics."""
        endpoint = Endpoint.told(next(line for line in self._log.read_text().splitlines() if "listening on" in line))

        async def has() -> bool:
            return await endpoint.value("pullstudy_collector_stored_total") == records

        return has

    async def rejects(self) -> list[Reject]:
        store = InfluxStore(self._settings, KeptNotices(), Random(1))
        return await asyncio.to_thread(lambda: list(store.rejects()))

    async def wait_for(self, number: int) -> None:
        async def there() -> bool:
            return len(await self.pulls()) >= number

        await wait_until(there, STORED_SECONDS, f"{number} pulls; see {self._log}")


@pytest.fixture
def command(influx: Influx, bucket: str, topic: str, server: ApiServer, tmp_path: Path) -> Command:
    return Command(influx, bucket, topic, write_kubeconfig(tmp_path / "kubeconfig", server.url), tmp_path)


async def put(server: ApiServer, first: int, number: int) -> None:
    for index in range(first, first + number):
        await server.put(event(index))


async def test_with_influx_alone_the_spool_feeds_the_store(server: ApiServer, command: Command, influx: Influx) -> None:
    await put(server, 0, 40)
    async with command.running(*command.watch, "--influx", influx.url) as process:
        await command.wait_for(40)
        await put(server, 40, 10)
        await command.wait_for(50)
        await command.stop(process)
    assert len(await command.pulls()) == 50


async def test_with_both_it_publishes_and_stores_in_one_process(
    server: ApiServer, command: Command, influx: Influx, kafka: Kafka
) -> None:
    await put(server, 0, 40)
    arguments = (*command.watch, "--kafka", kafka.bootstrap, "--influx", influx.url)
    async with command.running(*arguments) as process:
        await command.wait_for(40)
        process.kill()
        await process.wait()
    await put(server, 40, 20)
    async with command.running(*arguments) as process:
        await command.wait_for(60)
        await command.stop(process)
    assert len(await command.pulls()) == 60


async def test_a_collector_publishes_and_a_sink_of_its_own_stores(
    server: ApiServer, command: Command, influx: Influx, kafka: Kafka
) -> None:
    await put(server, 0, 40)
    sink = ("sink", "--kafka", kafka.bootstrap, "--influx", influx.url)
    watch = (*command.watch, "--kafka", kafka.bootstrap, "--listen", "127.0.0.1:0")
    async with command.running(*watch) as collector:
        async with command.running(*sink) as killed:
            await command.wait_for(40)
            killed.kill()
            await killed.wait()
        await put(server, 40, 10)
        # What is not read yet when SIGTERM comes is read at the next start, and there is none here.
        await wait_until(command.has_published(100), STORED_SECONDS, "50 pulls and 50 milestones on the bus")
        await command.stop(collector)
    async with command.running(*sink) as second:
        await command.wait_for(50)
        await command.stop(second)
    assert len({record.identity for record in await command.pulls()}) == 50


async def test_a_bucket_that_forgets_after_an_hour_takes_what_nobody_could_read(
    server: ApiServer, influx: Influx, topic: str, tmp_path: Path
) -> None:
    """An event in unknown words has its own time, a line that is no event the time at which it came."""
    bucket = f"forgets-{topic}"
    await influx.new_bucket(bucket, retention_seconds=3_600)
    command = Command(influx, bucket, topic, write_kubeconfig(tmp_path / "kubeconfig", server.url), tmp_path)
    now = datetime.now(UTC)
    server.instead["watch"].append(stream(b"no event\n"))
    await server.put(event(0, message="Pulled it somehow", at=now))
    await server.put(event(1, at=now))
    async with command.running(*command.watch, "--influx", influx.url) as process:
        await command.wait_for(1)

        async def kept() -> bool:
            return len(await command.rejects()) == 2

        await wait_until(kept, STORED_SECONDS, f"2 rejects; see {tmp_path / 'log'}")
        await command.stop(process)
    known, seen = sorted(await command.rejects(), key=lambda reject: reject.raw == "no event")
    assert "Pulled it somehow" in known.raw
    assert known.at is not None
    assert abs(known.at - now) < timedelta(seconds=1)
    assert seen.at is not None
    assert now - timedelta(seconds=1) < seen.at < datetime.now(UTC)
    assert not (tmp_path / "out" / "spool" / "sim-t" / "dead-letters.jsonl").exists()
    await influx.delete_bucket(bucket)
