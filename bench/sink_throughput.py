"""Records a second from Kafka to InfluxDB: the sink, influxdb-client's own way, and curl with ready lines (the limit).

    python -m bench.sink_throughput [--records 60000] [--gzip]

Starts a broker and an InfluxDB of the test stack (tests/stack) on loopback ports, publishes the records once, and
writes them three times, each into a bucket of its own:

- sink: collector.delivering.sink from the topic into store.influx; the time is until the last offset is committed;
- points: the same messages through influxdb-client's Point objects and its default batching, until close() returns;
- curl: the same line protocol from files, as large as the sink's writes, one request after another over one connection.

Each bucket is counted by a Flux query afterwards. CPU seconds are this process's own (and curl's).
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from bench.pull_records import make_pulls
from collector.clock import SystemClock
from collector.delivering.sink import Sink, SinkSettings
from collector.log import Log
from pullstudy.bus.kafka.bus import KafkaBus
from pullstudy.bus.kafka.settings import KafkaSettings
from pullstudy.bus.record_format import decode
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.line_protocol import encode_point
from pullstudy.store.influx.point_layout import PULL
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka

TOPIC = "pulls"


@dataclass(frozen=True)
class SinkServers:
    """What is measured against."""

    kafka: Kafka
    influx: Influx

    def kafka_settings(self) -> KafkaSettings:
        return KafkaSettings(bootstrap=self.kafka.bootstrap, topic=TOPIC)

    def influx_settings(self, bucket: str, *, gzip: bool) -> InfluxSettings:
        influx = self.influx
        return InfluxSettings(
            url=influx.url, organisation=influx.organisation, token=influx.token, bucket=bucket, gzip=gzip
        )


def log() -> Log:
    return Log(SystemClock(), write=lambda line: None)


async def publish(servers: SinkServers, records: list[PullRecord]) -> None:
    bus = KafkaBus(servers.kafka_settings(), log(), Random(1))
    for start in range(0, len(records), 4_000):
        published = await bus.publish(Batch(pulls=tuple(records[start : start + 4_000])))
        assert published.dead == 0
    await bus.close()


async def run_sink(servers: SinkServers, bucket: str, number: int, *, gzip: bool) -> None:
    bus = KafkaBus(servers.kafka_settings(), log(), Random(1))
    consumer = await bus.consume(f"sink-{bucket}")
    store = InfluxStore(servers.influx_settings(bucket, gzip=gzip), log(), Random(1))
    sink = Sink(bus, consumer, store, SinkSettings(), log())
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(stop))
    while sink.counters.stored < number:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert sink.counters.uncommitted == 0
    for part in (consumer, store, bus):
        await part.close()


async def run_points(servers: SinkServers, bucket: str, number: int) -> None:
    from influxdb_client import InfluxDBClient

    influx = servers.influx
    bus = KafkaBus(servers.kafka_settings(), log(), Random(1))
    consumer = await bus.consume(f"points-{bucket}")
    client = InfluxDBClient(influx.url, influx.token, org=influx.organisation)
    writer = client.write_api()  # batches of 1,000, as the library comes
    written = 0
    while written < number:
        parcel = await consumer.take(5_000, 8 << 20, 1.0)
        points = [_point(decode(message.value)) for message in parcel.messages]  # type: ignore[arg-type]
        writer.write(bucket, record=points)
        written += len(points)
        await consumer.commit(parcel)
    await asyncio.to_thread(writer.close)
    client.close()
    for part in (consumer, bus):
        await part.close()


def _point(record: PullRecord) -> Any:
    from influxdb_client import Point

    point = Point("pull")
    line = encode_point(record)
    for pair in line.partition(" ")[0].split(",")[1:]:
        point.tag(*pair.split("="))
    for name in PULL.fields:
        if (value := getattr(record, name)) is not None:
            point.field(name, int(value.timestamp() * 1e6) * 1000 if isinstance(value, datetime) else value)
    # The same time as the sink's point, so that the same number of points is there.
    return point.time(int(line.rpartition(" ")[2]))


async def run_curl(servers: SinkServers, bucket: str, files: list[Path]) -> None:
    influx = servers.influx
    command = ["curl", "--silent", "--show-error", "--fail"]
    for file in files:
        url = f"{influx.url}/api/v2/write?org={influx.organisation}&bucket={bucket}&precision=ns"
        command += [
            "--header",
            f"Authorization: Token {influx.token}",
            "--data-binary",
            f"@{file}",
            url,
            "--next",
            "-sSf",
        ]
    process = await asyncio.create_subprocess_exec(*command[:-2])
    assert await process.wait() == 0


def write_files(records: list[PullRecord], directory: Path, lines: int) -> list[Path]:
    files = []
    for start in range(0, len(records), lines):
        file = directory / f"{start:08}.lp"
        file.write_text("\n".join(encode_point(record) for record in records[start : start + lines]))
        files.append(file)
    return files


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def measure(name: str, servers: SinkServers, number: int, run: Callable[[str], Awaitable[None]]) -> float:
    bucket = f"bench-{name}"
    await servers.influx.new_bucket(bucket)
    started, cpu = time.perf_counter(), cpu_seconds()
    await run(bucket)
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    flux = (
        f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "pull" and'
        ' r._field == "event_uid") |> group() |> count()'
    )
    (row,) = await servers.influx.query(flux)
    print(f"{name:10} {number / seconds:10,.0f} {seconds:9.2f} {cpu:9.2f} {int(row['_value']):10,}", flush=True)
    await servers.influx.delete_bucket(bucket)
    return number / seconds


async def compare(servers: SinkServers, number: int, directory: Path, *, gzip: bool) -> None:
    records = make_pulls(number)
    started = time.perf_counter()
    await publish(servers, records)
    print(f"published {number / (time.perf_counter() - started):,.0f} records/s to Kafka (acks all, zstd)")
    files = write_files(records, directory, InfluxSettings("", "").batch_points)
    print(f"{sum(file.stat().st_size for file in files) / number:.0f} bytes of line protocol a record; gzip: {gzip}")
    print(f"{'':10} {'records/s':>10} {'seconds':>9} {'CPU s':>9} {'points':>10}")
    sink = await measure("sink", servers, number, lambda bucket: run_sink(servers, bucket, number, gzip=gzip))
    points = await measure("points", servers, number, lambda bucket: run_points(servers, bucket, number))
    curl = await measure("curl", servers, number, lambda bucket: run_curl(servers, bucket, files))
    print(f"the sink is {sink / points:.1f} times influxdb-client's own way and {sink / curl:.0%} of curl")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--gzip", action="store_true", help="compress the sink's writes, as over a network")
    options = parser.parse_args()
    home = StackHome.from_environment()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores for everything, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with Kafka(home, directory / "kafka") as kafka, Influx(home, directory / "influx") as influx:
            await compare(SinkServers(kafka, influx), options.records, directory, gzip=options.gzip)


if __name__ == "__main__":
    asyncio.run(main())
