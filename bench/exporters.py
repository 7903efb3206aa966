"""The collector beside other exporters, on the same burst of real events: CPU seconds per 1,000 events, peak memory.

    python -m bench.exporters [--events 10000] [--json FILE] [--beside NAME COMMAND COUNT ...]

Starts API server with etcd, Kafka and InfluxDB of the test stack (tests/stack), then all exporters, then writes one
burst that all of them watch, and waits until each has all of it. The collector is there in three forms: with its
embedded store, feeding InfluxDB, and publishing to Kafka with a sink apart. Another exporter takes part with --beside:

    COMMAND  a shell command that runs it until it is killed
    COUNT    a shell command that prints one number: how many of the burst's events it has stored or written by now

Both may name {kubeconfig}, {namespace} (where the burst is), {directory} (of its own, empty), {kafka} (HOST:PORT),
{influx} (URL), {organisation}, {token}, {bucket} (of its own, empty) and {kubectl} (the stack's own). For example:

    --beside kubectl \\
        'exec {kubectl} --kubeconfig {kubeconfig} get events -n {namespace} --watch-only -o name > {directory}/out' \\
        'wc -l < {directory}/out'

"ready CPU" is what it took until the burst began (with --settle seconds to start), "CPU/1,000" from then until it had
all of the burst. Memory is the largest sum of resident sets, looked at every 0.1 s. Its "seconds" are from the first
event written to the count that is complete, looked at every 0.5 s, while everybody else shares the cores.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.real.collecting import Collector, CollectorCommand
from tests.real.points import Points
from tests.real.production_path import STORING
from tests.real.vitals import Vitals
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.process import Process
from tests.stack.wait import until

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "default"
PATIENCE_SECONDS = 600.0
MIB = 1 << 20

Count = Callable[[], Awaitable[int]]


@dataclass
class MeasuredExporter:
    """One way to bring events somewhere: its processes, and how many events have arrived."""

    name: str
    processes: Sequence[Process]
    count: Count
    start: Callable[[], Awaitable[None]]
    done_after: float = 0.0
    cpu_before: float = 0.0
    cpu: float = 0.0
    peak_bytes: int = 0


@dataclass
class ExporterServers:
    """What there is to watch and to write to."""

    cluster: ControlPlane
    kafka: Kafka
    influx: Influx
    directory: Path
    buckets: list[str] = field(default_factory=list)

    async def new_bucket(self) -> str:
        name = f"bench-{len(self.buckets)}"
        self.buckets.append(name)
        await self.influx.new_bucket(name)
        return name


async def embedded(servers: ExporterServers) -> MeasuredExporter:
    """The collector with nothing beside it."""
    collector = Collector(servers.cluster.access.kubeconfig(), servers.directory, name="embedded")

    async def count() -> int:
        return len(collector.stored(NAMESPACE))

    return MeasuredExporter("collector, embedded store", [collector.process], count, collector.start)


async def direct(servers: ExporterServers) -> MeasuredExporter:
    """The spool feeds InfluxDB."""
    bucket = await servers.new_bucket()
    environment = servers.influx.environment() | {"INFLUXDB_V2_BUCKET": bucket}
    collector = Collector(
        servers.cluster.access.kubeconfig(),
        servers.directory,
        name="direct",
        more=["--influx", servers.influx.url],
        environment=environment,
    )
    return MeasuredExporter(
        "collector, InfluxDB", [collector.process], Points(servers.influx, bucket).count, collector.start
    )


async def through_kafka(servers: ExporterServers) -> MeasuredExporter:
    """A collector that publishes, a sink that stores."""
    bucket = await servers.new_bucket()
    bus = ["--kafka", servers.kafka.bootstrap]
    collector = Collector(servers.cluster.access.kubeconfig(), servers.directory, name="publishing", more=bus)
    environment = servers.influx.environment() | {"INFLUXDB_V2_BUCKET": bucket}
    arguments = ["sink", *bus, "--influx", servers.influx.url]
    sink = CollectorCommand("sink", arguments, servers.directory, STORING, environment)

    async def start() -> None:
        await collector.start()
        await sink.start()

    return MeasuredExporter(
        "collector, Kafka, sink",
        [collector.process, sink.process],
        Points(servers.influx, bucket).count,
        start,
    )


async def another(servers: ExporterServers, name: str, command: str, count_command: str) -> MeasuredExporter:
    """What --beside says."""
    own = servers.directory / f"beside-{name}"
    own.mkdir()
    names = {
        "kubeconfig": servers.cluster.access.kubeconfig(),
        "namespace": NAMESPACE,
        "directory": own,
        "kafka": servers.kafka.bootstrap,
        "influx": servers.influx.url,
        "organisation": servers.influx.organisation,
        "token": servers.influx.token,
        "bucket": await servers.new_bucket(),
        "kubectl": StackHome.from_environment().program("kubectl"),
    }
    process = Process(name, ["sh", "-c", command.format(**names)], own)

    async def start() -> None:
        process.start()

    async def count() -> int:
        if not process.running:
            raise SystemExit(f"{name} ended with {process.exit_code}: {process.last_words()}")
        asked = await asyncio.create_subprocess_shell(count_command.format(**names), stdout=asyncio.subprocess.PIPE)
        printed, _ = await asked.communicate()
        return int(printed.strip() or b"0")

    return MeasuredExporter(name, [process], count, start)


async def run_side_by_side(
    exporters: Sequence[MeasuredExporter], servers: ExporterServers, options: argparse.Namespace
) -> None:
    """Start all, write the burst, wait for all."""
    processes = {process.name: process for exporter in exporters for process in exporter.processes}
    vitals = Vitals(processes, pause_seconds=0.1)
    looking = asyncio.create_task(vitals.run())
    try:
        for exporter in exporters:
            await exporter.start()
        await asyncio.sleep(options.settle)
        vitals.look()
        for exporter in exporters:
            exporter.cpu_before = _cpu(vitals, exporter)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(write(servers, options.events))
            for exporter in exporters:
                group.create_task(_until_complete(exporter, vitals, options.events, began))
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        for process in processes.values():
            process.kill()


async def _until_complete(exporter: MeasuredExporter, vitals: Vitals, events: int, began: float) -> None:
    found = 0

    async def complete() -> bool:
        nonlocal found
        found = await exporter.count()
        return found >= events

    try:
        await until(complete, PATIENCE_SECONDS, f"{exporter.name} to have {events} events", poll_seconds=0.5)
    except Exception as error:
        raise SystemExit(f"{error}; it has {found}") from error
    exporter.done_after = time.monotonic() - began
    vitals.look()
    exporter.cpu = _cpu(vitals, exporter) - exporter.cpu_before
    exporter.peak_bytes = sum(vitals.peak_bytes(process.name) for process in exporter.processes)


def _cpu(vitals: Vitals, exporter: MeasuredExporter) -> float:
    return sum(vitals.cpu_seconds(process.name) for process in exporter.processes)


async def write(servers: ExporterServers, events: int) -> None:
    """The burst, by a process of its own."""
    command = [sys.executable, "-m", "tests.real.load", "--kubeconfig", str(servers.cluster.access.kubeconfig())]
    more = ["--events", str(events), "--burst", str(events), "--acknowledged", str(servers.directory / "acknowledged")]
    writer = await asyncio.create_subprocess_exec(*command, *more, cwd=ROOT)
    if await writer.wait() != 0:
        raise SystemExit("the events could not be written")


def as_json(exporter: MeasuredExporter, events: int) -> dict[str, Any]:
    """A row."""
    return {
        "name": exporter.name,
        "ready_cpu_seconds": round(exporter.cpu_before, 3),
        "cpu_seconds_per_1000": round(exporter.cpu * 1000 / events, 4),
        "peak_mib": round(exporter.peak_bytes / MIB, 1),
        "seconds": round(exporter.done_after, 2),
    }


async def compare(options: argparse.Namespace) -> None:
    """All of it, and the table."""
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores for everything, load {os.getloadavg()[0]:.1f}")
    home = StackHome.from_environment()
    with tempfile.TemporaryDirectory() as name:
        at = Path(name)
        async with (
            ControlPlane(home, at / "cluster", controllers=False) as cluster,
            Kafka(home, at / "kafka") as kafka,
            Influx(home, at / "influx") as influx,
        ):
            servers = ExporterServers(cluster, kafka, influx, at)
            exporters = [await make(servers) for make in (embedded, direct, through_kafka)]
            exporters += [await another(servers, *beside) for beside in options.beside]
            await run_side_by_side(exporters, servers, options)
    rows = [as_json(exporter, options.events) for exporter in exporters]
    print(f"{'':<28}{'ready CPU':>10}{'CPU/1,000':>11}{'peak MiB':>10}{'seconds':>9}")
    for row in rows:
        cells = (row["ready_cpu_seconds"], row["cpu_seconds_per_1000"], row["peak_mib"], row["seconds"])
        print(f"{row['name']:<28}{cells[0]:>10.2f}{cells[1]:>11.3f}{cells[2]:>10.1f}{cells[3]:>9.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps({"events": options.events, "rows": rows}, indent=1) + "\n")


def main() -> None:
    """The command."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--settle", type=float, default=5.0, help="seconds between the start and the burst")
    parser.add_argument("--beside", nargs=3, action="append", default=[], metavar=("NAME", "COMMAND", "COUNT"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    asyncio.run(compare(parser.parse_args()))


if __name__ == "__main__":
    main()
