"""Events a second from the bytes of a watch to a stored record, on one core, side by side:

(a) typed   kubernetes_asyncio's watch.Watch().stream: a CoreV1Event for each line, and nothing done with it
(b) raw     its client's raw chunks, split at newlines, orjson.loads for each line, and nothing done with it
(c) decoded the collector's way to records: raw chunks to PullRecord and Milestone, not kept
(d) stored  the collector whole: decoded, spooled with fsync, written to the embedded store, acknowledged

Each runs in a process of its own, pinned to one core; the events are replayed over loopback by another process.
Memory is the peak of that process, for (d) at growing numbers of events.

    python bench/watch_to_store.py [--quick] [--rounds 3] [--json]

``--beside DIR`` compares (c) and (d) with those of another checkout, which has its own environment in DIR/.venv: in
turns, in CPU seconds for 1,000 events, since what else the machine does changes the time on the clock.

    python bench/watch_to_store.py --beside ../pullstudy-before [--quick] [--rounds 3] [--json]
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
WAYS = {
    "typed": "(a) kubernetes_asyncio typed watch",
    "raw": "(b) raw chunks + orjson, nothing else",
    "decoded": "(c) collector, decoded to records",
    "stored": "(d) collector, stored in SQLite",
}
EVENTS = {"typed": 10_000, "raw": 100_000, "decoded": 100_000, "stored": 100_000}
COMPARED = ("decoded", "stored")
MEMORY_AT = (10_000, 100_000, 1_000_000)
LONG_SECONDS = 3_600.0


async def _client(url: str) -> Any:
    from kubernetes_asyncio.client import ApiClient, Configuration

    configuration = Configuration()
    configuration.host = url
    return ApiClient(configuration)


async def typed(url: str, count: int) -> None:
    from kubernetes_asyncio import client, watch

    async with await _client(url) as api:
        events = client.CoreV1Api(api)
        seen = 0
        async with watch.Watch() as stream:
            async for _ in stream.stream(
                events.list_event_for_all_namespaces, resource_version="1000", timeout_seconds=int(LONG_SECONDS)
            ):
                seen += 1
                if seen == count:
                    return


async def raw(url: str, count: int) -> None:
    import orjson
    from kubernetes_asyncio import client

    async with await _client(url) as api:
        response = await client.CoreV1Api(api).list_event_for_all_namespaces(
            watch=True, resource_version="1000", _preload_content=False
        )
        seen, rest = 0, b""
        async for chunk in response.content.iter_any():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                orjson.loads(line)
            seen += len(lines)
        assert seen == count


async def decoded(url: str, count: int) -> None:
    from collector.daemon import spare_the_garbage_collector
    from collector.monitoring.status import CollectorStatus
    from collector.settings import Settings
    from collector.sources.intake import Intake
    from collector.sources.recent_events import RecentEvents
    from pullstudy.kube.access import Access
    from pullstudy.kube.client import KubeClient
    from pullstudy.kube.lines import LineSplitter
    from pullstudy.kube.list_watch import ListWatch
    from pullstudy.pulls.decode import Origin
    from pullstudy.pulls.event import decode_watch_line

    spare_the_garbage_collector()
    settings, status, splitter = Settings(), CollectorStatus(), LineSplitter()
    intake = Intake(Origin(cluster="bench"), RecentEvents(settings.seen_events), status)
    records = 0
    async with KubeClient(await _client(url), Access(), settings.watch) as api:
        async for chunk in ListWatch(api, "/api/v1/events").watch("1000", LONG_SECONDS):
            for line in splitter.feed(chunk):
                intake.event(decode_watch_line(line).object, line)
            records += len(intake.take_batch())
    assert status.events == count
    assert records == count + status.outcomes["pulled"]


async def stored(url: str, count: int) -> None:
    from collector.clock import SystemClock
    from collector.cluster_sources import cluster_sources
    from collector.context import Context
    from collector.daemon import CollectorConfig, run_stages
    from collector.delivering.targets import EmbeddedTarget
    from collector.log import Log
    from collector.settings import Settings
    from collector.spooling.spool import Spool
    from collector.stop_signal import StopSignal
    from pullstudy.kube.access import Access
    from pullstudy.kube.client import KubeClient
    from pullstudy.pulls.decode import Origin
    from pullstudy.store.embedded.store import EmbeddedStore

    settings, clock, stop = Settings(), SystemClock(), StopSignal()
    context = Context(settings, clock, Random(1), Log(clock, write=lambda line: None))
    expected = count + (count + 2) // 6  # each event a milestone, each Pulled a record too

    async def until_stored() -> None:
        while context.status.stored < expected:  # noqa: ASYNC110 - the measured code is the product's, unchanged
            await asyncio.sleep(0.02)
        stop.stop.set()

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        config = CollectorConfig(Origin(cluster="bench"), Access(), Path(name))
        async with KubeClient(await _client(url), Access(), settings.watch) as api:
            with Spool(config.spool_directory, settings.spool) as spool:
                store = EmbeddedStore(config.data_directory, create=True)
                async with asyncio.TaskGroup() as group:
                    group.create_task(until_stored())
                    sources = cluster_sources(config.cluster, config.origin, api, None, spool, context)
                    group.create_task(run_stages(config, sources, spool, EmbeddedTarget(store), context, stop))
                await store.close()


RUN: dict[str, Callable[[str, int], Awaitable[None]]] = {
    "typed": typed,
    "raw": raw,
    "decoded": decoded,
    "stored": stored,
}


def measure_here(way: str, url: str, count: int) -> dict[str, Any]:
    """In the process that is measured. Imports are not counted: each way is run once on nothing first."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    async def timed() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        await RUN[way](url, count)
        return time.perf_counter() - wall, time.process_time() - cpu

    import kubernetes_asyncio.client  # noqa: F401 - half a second that is no work on events

    wall, cpu = asyncio.run(timed())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "way": way,
        "events": count,
        "seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "events_per_second": round(count / wall),
        "events_per_cpu_second": round(count / cpu),
        "peak_mib": round(peak / 1024, 1),
    }


Program = tuple[Path | str, Path | str]
"""Python, and the bench of its checkout."""
HERE_PROGRAM: Program = (sys.executable, Path(__file__).resolve())


def measure(way: str, count: int, program: Program = HERE_PROGRAM) -> dict[str, Any]:
    """In a process of its own, against a replay of its own."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "replay_server.py"), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        command = [*program, "--measure", way, url, str(count)]
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    finally:
        server.communicate()


def best_of(rounds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The fastest result of each way: what other processes take can only make it slower."""
    return [max(results, key=lambda result: result["events_per_second"]) for results in zip(*rounds, strict=True)]


def program_of(checkout: Path) -> Program:
    return checkout / ".venv" / "bin" / "python", checkout / "bench" / Path(__file__).name


def compare(way: str, count: int, other: Program, rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU for 1,000 events, there and here: the least of so many rounds, each of one run of both."""
    results: dict[Program, list[float]] = {other: [], HERE_PROGRAM: []}
    for number in range(rounds):
        for program in sorted(results, key=lambda each: (each == other) == bool(number % 2)):
            results[program].append(measure(way, count, program)["cpu_seconds"] / count * 1e6)
    before, after = results[other], results[HERE_PROGRAM]
    ratios = [there / here for there, here in zip(before, after, strict=True)]
    return {
        "way": way,
        "events": count,
        "rounds": rounds,
        "beside_ms": round(min(before), 2),  # what other processes take can only make it more
        "here_ms": round(min(after), 2),
        "throughput": round(min(before) / min(after), 3),
        "throughput_median": round(statistics.median(ratios), 3),
        "throughput_from": round(min(ratios), 3),
        "throughput_to": round(max(ratios), 3),
    }


def compared_line(result: dict[str, Any]) -> str:
    return (
        f"{WAYS[result['way']]}: {result['beside_ms']} ms of CPU for 1,000 events there, {result['here_ms']} here:"
        f" {result['throughput']:.1%} of its events for a CPU second"
        f" (round by round {result['throughput_from']:.1%} to {result['throughput_to']:.1%}, median"
        f" {result['throughput_median']:.1%}, of {result['rounds']})"
    )


def line_bytes() -> int:
    from replay_server import lines

    sample = list(lines(600))
    return round(sum(map(len, sample)) / len(sample))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, and memory to 100,000 only")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--rounds", type=int, default=3, help="of all four ways; the best of each is shown (3)")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="compare with the checkout there")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "URL", "EVENTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, url, count = options.measure
        print(json.dumps(measure_here(way, url, int(count))))
        return
    share = 10 if options.quick else 1
    if options.beside:
        for way in COMPARED:
            result = compare(way, EVENTS[way] // share, program_of(options.beside), options.rounds)
            print(json.dumps(result) if options.json else compared_line(result), flush=True)
        return
    say = (lambda text: None) if options.json else print
    say(f"events of {line_bytes()} bytes, one core, Python {sys.version.split()[0]}\n")
    say(f"{'':<42}{'events':>9}{'events/s':>10}{'x (a)':>7}{'per CPU s':>11}{'x (a)':>7}{'peak MiB':>10}")
    rates = best_of([[measure(way, EVENTS[way] // share) for way in WAYS] for _ in range(options.rounds)])
    for result in rates:
        times, cpu_times = (result[rate] / rates[0][rate] for rate in ("events_per_second", "events_per_cpu_second"))
        say(
            f"{WAYS[result['way']]:<42}{result['events']:>9,}{result['events_per_second']:>10,}{times:>7.1f}"
            f"{result['events_per_cpu_second']:>11,}{cpu_times:>7.1f}{result['peak_mib']:>10}"
        )
    say("\nmemory of (d) as the number of events grows")
    memory = []
    for count in MEMORY_AT[: 2 if options.quick else 3]:
        result = measure("stored", count)
        memory.append(result)
        say(f"{count:>12,} events{result['peak_mib']:>10} MiB{result['events_per_second']:>10,} events/s")
    if options.json:
        print(json.dumps({"line_bytes": line_bytes(), "rates": rates, "memory": memory}))


if __name__ == "__main__":
    main()
