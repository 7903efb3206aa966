"""A fleet's quarter in InfluxDB: what layouts of points cost, and how long they take to answer a board's questions.

    python -m bench.fleet [--pulls 100000] [--layout first|lanes|aggregates] [--boards] [--json FILE]

Makes pulls of 500 nodes and 200 repositories over 93 days (seeded) and writes them into an InfluxDB of its own for each
layout:

- first: layout 1, node and repository among the tags;
- lanes: layout 2, as ``pullstudy/pulls/kinds.py`` has it: neither of them a tag, but one of 64 lanes by the identity;
- aggregates: the same, and beside it counts, sums and a histogram of seconds by hour, pool, registry and outcome
  (``pull_hours``) and by day, repository and outcome (``pull_days``), which answer all questions but the one by node.

The histogram's buckets are those of DDSketch (Masson, Rim, Lee 2019, https://arxiv.org/abs/1908.10693): bucket k is
(g^(k-1), g^k] seconds, g = (1 + e) / (1 - e), so that a quantile is known to within the relative error e. A bucket is a
field with its count, only where there is one: merging is a sum by field, which the storage engine does.

Disk and memory are read after the last write, and again after a restart in which all shards are compacted in full.
``--boards`` runs every query of pulls that the dashboards have, too.
"""

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgspec

from dashboards.build import dashboards
from dashboards.flux import Bucket
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.influx.line_protocol import PointFormat
from pullstudy.store.influx.point_layout import FIRST, PULL, nanoseconds
from tests.dashboards.variables import PERIOD, START, STOP, substituted
from tests.stack.error import StackError
from tests.stack.home import StackHome
from tests.stack.influx import BUCKET, ORGANISATION, Influx

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 93
ENDED = BEGAN + timedelta(days=DAYS)
RANGES = {"24 h": (timedelta(hours=24), "1h"), "30 d": (timedelta(days=30), "6h"), "1 y": (timedelta(days=365), "1d")}
NODES, REPOSITORIES, POOLS = 500, 200, 5
REGISTRIES = ("registry.k8s.io", "quay.io", "docker.io", "ghcr.io")
OUTCOMES = {Outcome.PULLED: 80, Outcome.CACHED: 15, Outcome.FAILED: 3, Outcome.BACKOFF: 2}
RELATIVE_ERROR = 0.02
GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
AT_ONCE = 5_000  # lines of one write
GIVEN_UP_SECONDS = 60.0
SETTLED_SECONDS, SETTLING_SECONDS = 12.0, 300.0
COMPACTING = ("--storage-cache-snapshot-write-cold-duration=1s", "--storage-compact-full-write-cold-duration=1s")

Columns = dict[str, Any]


def made_pulls(number: int, random: Random) -> Iterator[Columns]:
    """In the order of time."""
    step = timedelta(days=DAYS) / number
    for serial in range(number):
        yield made_pull(serial, BEGAN + step * serial, random)


def made_pull(serial: int, at: datetime, random: Random) -> Columns:
    node, repository = random.randrange(NODES), random.randrange(REPOSITORIES)
    name = f"{REGISTRIES[repository % len(REGISTRIES)]}/team-{repository % 23}/service-{repository}"
    tag = f"v{at.timetuple().tm_yday // 7}"
    (outcome,) = random.choices(list(OUTCOMES), list(OUTCOMES.values()))
    columns: Columns = {
        **{"cluster": "prod", "run": "fleet", "size": NODES, "node": f"prod-pool-{node % POOLS}-{node:04x}"},
        **{"namespace": f"team-{repository % 23}", "pod": f"service-{repository}-{random.getrandbits(32):08x}"},
        **{"pod_uid": f"{random.getrandbits(64):016x}", "container": "main", "image": f"{name}:{tag}"},
        **{"repository": name, "tag": tag, "outcome": outcome, "finished_at": at, "count": 1},
        "event_uid": f"{serial:012x}-0000-4000-8000-000000000000",
    }
    if outcome is Outcome.PULLED:
        seconds = (1.0 + repository / 20) * random.lognormvariate(0, 0.5)
        columns |= {"pull_seconds": seconds, "waiting_seconds": 0.0, "image_bytes": 10_000_000 * (repository + 1)}
        columns["started_at"] = at - timedelta(seconds=seconds)
    elif outcome is Outcome.FAILED:
        columns["error"] = f'failed to pull and unpack image "{name}:{tag}": 429 Too Many Requests'
    return columns


def counted(rows: str, by: str) -> str:
    return f'{rows} |> group(columns: ["{by}"]) |> count()'


def raw_p95(rows: str, by: str) -> str:
    return f'{rows} |> group(columns: [{by}]) |> quantile(q: 0.95, method: "exact_mean")'


class Layout(ABC):
    """How pulls become points, and how these answer."""

    def lines(self, pulls: Iterator[Columns]) -> Iterator[str]:
        return map(self.line, pulls)

    @abstractmethod
    def line(self, pull: Columns) -> str: ...

    def questions(self, since: str, every: str) -> dict[str, str]:
        """Flux by what it asks."""
        rows = f'from(bucket: "{BUCKET}") |> range({since}) |> filter(fn: (r) => r._measurement == "pull")'
        seconds = f'{rows} |> filter(fn: (r) => r.outcome == "pulled" and r._field == "pull_seconds")'
        over_time = f'{seconds} |> group() |> window(every: {every}) |> quantile(q: 0.95, method: "exact_mean")'
        return {
            "pulls by outcome": counted(f'{rows} |> filter(fn: (r) => r._field == "event_uid")', "outcome"),
            "p95": raw_p95(seconds, ""),
            "p95 over time": over_time,
            "p95 by repository": self.by_repository(rows, seconds),
            "failures by node": self.by_node(f'{rows} |> filter(fn: (r) => r.outcome == "failed")'),
        }

    @abstractmethod
    def by_repository(self, rows: str, seconds: str) -> str: ...

    @abstractmethod
    def by_node(self, failed: str) -> str: ...


class First(Layout):
    def __init__(self) -> None:
        self._format = PointFormat([PULL], FIRST)

    def line(self, pull: Columns) -> str:
        return self._format.encode(PullRecord(**pull))

    def by_repository(self, rows: str, seconds: str) -> str:
        return raw_p95(seconds, '"repository"')

    def by_node(self, failed: str) -> str:
        return counted(f'{failed} |> filter(fn: (r) => r._field == "event_uid")', "node")


class Lanes(Layout):
    def __init__(self) -> None:
        self._format = PointFormat([PULL])

    def line(self, pull: Columns) -> str:
        return self._format.encode(PullRecord(**pull))

    def by_repository(self, rows: str, seconds: str) -> str:
        of_fields = 'r.outcome == "pulled" and (r._field == "pull_seconds" or r._field == "repository")'
        pivoted = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        return (
            f"{rows} |> filter(fn: (r) => {of_fields}) {pivoted}"
            ' |> group(columns: ["repository"]) |> quantile(column: "pull_seconds", q: 0.95, method: "exact_mean")'
        )

    def by_node(self, failed: str) -> str:
        # The field's own values, so that nothing is pivoted.
        return (
            f'{failed} |> filter(fn: (r) => r._field == "node") |> group() |> duplicate(column: "_value", as: "node")'
            + (' |> group(columns: ["node"]) |> count()')
        )


class Aggregate:
    """Counts, sums and buckets of the pulls of one stretch with the same tags."""

    def __init__(self) -> None:
        self.pulls, self.seconds, self.bytes = 0, 0.0, 0
        self.buckets: Counter[int] = Counter()

    def add(self, pull: Columns) -> None:
        self.pulls += 1
        seconds = pull.get("pull_seconds")
        if seconds is not None:
            self.seconds += seconds
            self.bytes += pull["image_bytes"]
            self.buckets[math.ceil(math.log(seconds, GROWTH))] += 1

    def fields(self) -> str:
        buckets = [f"b{number}={count}i" for number, count in sorted(self.buckets.items())]
        return ",".join([f"pulls={self.pulls}i", f"seconds={self.seconds!r}", f"bytes={self.bytes}i", *buckets])


class Aggregates(Lanes):
    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[tuple[str, datetime], Aggregate] = {}

    def lines(self, pulls: Iterator[Columns]) -> Iterator[str]:
        yield from super().lines(pulls)
        for (head, at), aggregate in self._kept.items():
            yield f"{head} {aggregate.fields()} {nanoseconds(at)}"

    def line(self, pull: Columns) -> str:
        place = f"cluster={pull['cluster']},outcome={pull['outcome']}"
        pool, registry = pull["node"].rpartition("-")[0], pull["repository"].partition("/")[0]
        hour = pull["finished_at"].replace(minute=0, second=0, microsecond=0)
        of_hour = f"pull_hours,{place},pool={pool},registry={registry},run={pull['run']},size={pull['size']}"
        of_day = f"pull_days,{place},repository={pull['repository']},run={pull['run']},size={pull['size']}"
        for key in ((of_hour, hour), (of_day, hour.replace(hour=0))):
            self._kept.setdefault(key, Aggregate()).add(pull)
        return super().line(pull)

    def questions(self, since: str, every: str) -> dict[str, str]:
        def rows(measurement: str, condition: str) -> str:
            named = f'r._measurement == "{measurement}" and {condition}'
            return f'from(bucket: "{BUCKET}") |> range({since}) |> filter(fn: (r) => {named})'

        buckets = 'r.outcome == "pulled" and r._field =~ /^b-?[0-9]+$/'
        hours, days = rows("pull_hours", buckets), rows("pull_days", buckets)
        outcomes = rows("pull_hours", 'r._field == "pulls"')
        # Windows of each series first, which the storage engine makes; then those of all series together.
        windows = f"{hours} |> aggregateWindow(every: {every}, fn: sum, createEmpty: false)"
        return {
            **super().questions(since, every),
            "pulls by outcome": f'{outcomes} |> group(columns: ["outcome"]) |> sum()',
            "p95": merged_p95(hours, ""),
            "p95 over time": merged_p95(windows, '"_time"'),
            "p95 by repository": merged_p95(days, '"repository"'),
        }


def merged_p95(rows: str, by: str) -> str:
    """By the groups' buckets: each gives its upper end, and its lower end, at which it has counted nothing yet.

    group and sum come right after the filter: so the storage engine sums, and only sums are read.
    """
    keys = ", ".join(filter(None, [by, '"_field"']))
    power = f'math.pow(x: {GROWTH!r}, y: float(v: strings.trimPrefix(v: r._field, prefix: "b")))'
    return (
        'import "math"\nimport "strings"\n'
        f"buckets = {rows} |> group(columns: [{keys}]) |> sum() |> group(columns: [{by}])\n"
        f"  |> map(fn: (r) => ({{r with le: {power}, _value: float(v: r._value)}}))\n"
        f"lower = buckets |> map(fn: (r) => ({{r with le: r.le / {GROWTH!r} * 1.000000001, _value: 0.0}}))\n"
        f'union(tables: [buckets, lower]) |> group(columns: [{by}]) |> sort(columns: ["le"])\n'
        '  |> cumulativeSum(columns: ["_value"]) |> histogramQuantile(quantile: 0.95)'
    )


LAYOUTS: dict[str, type[Layout]] = {"first": First, "lanes": Lanes, "aggregates": Aggregates}


class Measured(msgspec.Struct, kw_only=True):
    """What one layout took."""

    layout: str
    pulls: int
    points: int
    series: int
    write_seconds: float
    write_bytes_a_pull: float
    disk_bytes_a_pull: float
    resident_mebibytes: float
    compacted_bytes_a_pull: float
    compacted_mebibytes: float
    peak_mebibytes: float  # after the questions
    p95_error: float | None  # relative, of all pulls' p95; None where the query was given up
    seconds: dict[str, dict[str, float | None]]  # by question and range; None where given up after a minute
    load: float


def disk_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in (directory / "engine").rglob("*") if path.is_file())


def memory(influx: Influx, name: str) -> float:
    """MiB of influxd: ``VmRSS`` now, ``VmHWM`` at its most."""
    status = Path(f"/proc/{influx.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


async def write(influx: Influx, lines: Iterator[str]) -> tuple[int, int, float]:
    """Points, bytes, and seconds that the server took."""
    points, sent, took = 0, 0, 0.0
    address = f"{influx.url}/api/v2/write?org={ORGANISATION}&bucket={BUCKET}&precision=ns"
    async with aiohttp.ClientSession(headers={"Authorization": f"Token {influx.token}"}) as session:
        while some := list(islice(lines, AT_ONCE)):
            body = "\n".join(some).encode()
            began = time.monotonic()
            async with session.post(address, data=body) as response:
                if response.status != 204:
                    raise StackError(f"InfluxDB: {response.status} {await response.text()}")
            took += time.monotonic() - began
            points, sent = points + len(some), sent + len(body)
    return points, sent, took


async def compact(influx: Influx, directory: Path) -> None:
    """Start it again, so that cold shards are compacted at once, and wait until the disk's use stays."""
    await influx.stop()
    influx.process.command.extend(COMPACTING)
    await influx.start()
    deadline = time.monotonic() + SETTLING_SECONDS
    before = -1
    while (now := disk_bytes(directory)) != before and time.monotonic() < deadline:
        before = now
        await asyncio.sleep(SETTLED_SECONDS)


async def timed(influx: Influx, flux: str) -> tuple[float | None, list[dict[str, str]]]:
    """Seconds, and the rows; None where it was given up."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(GIVEN_UP_SECONDS):
            rows = await influx.query(flux)
    except TimeoutError:
        return None, []
    return time.monotonic() - began, rows


def questions_of(layout: Layout, length: timedelta, every: str, *, boards: bool) -> dict[str, str]:
    start, stop = f"{ENDED - length:%Y-%m-%dT%H:%M:%SZ}", f"{ENDED:%Y-%m-%dT%H:%M:%SZ}"
    asked = layout.questions(f"start: {start}, stop: {stop}", every)
    if boards:
        for title, query in board_queries():
            shown = substituted(query).replace(START, start).replace(STOP, stop).replace(PERIOD, every)
            asked[title] = shown
    return asked


def board_queries() -> Iterator[tuple[str, str]]:
    """Those that read pulls."""
    for uid, board in dashboards(Bucket(BUCKET)).items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                if f'r._measurement == "{PULL.name}"' in target.get("query", ""):
                    yield f"{uid}: {panel['title']}", target["query"]


def kept_seconds(pulls: Iterator[Columns], seconds: "array[float]") -> Iterator[Columns]:
    for pull in pulls:
        if pull["outcome"] is Outcome.PULLED:
            seconds.append(pull["pull_seconds"])
        yield pull


def exact_p95(seconds: "array[float]") -> float:
    """Interpolated linearly, as ``exact_mean`` of Flux does."""
    ordered = sorted(seconds)
    place = 0.95 * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


async def series_of(influx: Influx) -> int:
    flux = (
        'import "influxdata/influxdb"\n'
        f'influxdb.cardinality(bucket: "{BUCKET}", start: {BEGAN:%Y-%m-%dT%H:%M:%SZ}, stop: {ENDED:%Y-%m-%dT%H:%M:%SZ})'
    )
    (row,) = await influx.query(flux)
    return int(row["_value"])


async def measure(name: str, number: int, directory: Path, home: StackHome, *, boards: bool) -> Measured:
    layout, seconds = LAYOUTS[name](), array("d")
    async with Influx(home, directory) as influx:
        lines = layout.lines(kept_seconds(made_pulls(number, Random(1)), seconds))
        points, sent, took = await write(influx, lines)
        disk, resident = disk_bytes(directory), memory(influx, "VmRSS")
        await compact(influx, directory)
        compacted, compacted_resident = disk_bytes(directory), memory(influx, "VmRSS")
        answers: dict[str, dict[str, float | None]] = {}
        for length, (span, every) in RANGES.items():
            for question, flux in questions_of(layout, span, every, boards=boards).items():
                spent, rows = await timed(influx, flux)
                answers.setdefault(question, {})[length] = spent
                if question == "p95" and rows:
                    p95 = float(rows[0]["_value"])
        return Measured(
            layout=name,
            pulls=number,
            points=points,
            series=await series_of(influx),
            write_seconds=took,
            write_bytes_a_pull=sent / number,
            disk_bytes_a_pull=disk / number,
            resident_mebibytes=resident,
            compacted_bytes_a_pull=compacted / number,
            compacted_mebibytes=compacted_resident,
            peak_mebibytes=memory(influx, "VmHWM"),
            p95_error=None if answers["p95"]["1 y"] is None else p95 / exact_p95(seconds) - 1,
            seconds=answers,
            load=os.getloadavg()[0],
        )


def described(found: Measured) -> Iterator[str]:
    yield (
        f"{found.layout}: {found.pulls:,} pulls in {found.points:,} points of {found.series:,} series;"
        f" {found.pulls / found.write_seconds:,.0f} pulls/s; load {found.load:.1f}"
    )
    yield (
        f"  bytes a pull: {found.write_bytes_a_pull:.0f} sent, {found.disk_bytes_a_pull:.0f} on disk,"
        f" {found.compacted_bytes_a_pull:.0f} compacted"
    )
    error = "" if found.p95_error is None else f"; p95 off by {found.p95_error:+.2%}"
    yield (
        f"  influxd, MiB: {found.resident_mebibytes:.0f} when written, {found.compacted_mebibytes:.0f} compacted,"
        f" {found.peak_mebibytes:.0f} at most while asked{error}"
    )
    for question, by_range in found.seconds.items():
        cells = (f"{length} {'> 60' if took is None else f'{took:.2f}'} s" for length, took in by_range.items())
        yield f"  {question:60} {'   '.join(cells)}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pulls", type=int, default=100_000)
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="default: all")
    parser.add_argument("--boards", action="store_true", help="the dashboards' own queries too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    home = StackHome.from_environment()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores for everything, load {os.getloadavg()[0]:.1f}")
    measured = []
    for name in chosen.layout or LAYOUTS:
        with tempfile.TemporaryDirectory() as directory:
            measured.append(await measure(name, chosen.pulls, Path(directory), home, boards=chosen.boards))
        print("\n".join(described(measured[-1])), flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(msgspec.to_builtins(measured), indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
