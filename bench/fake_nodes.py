"""What a sweep over fake nodes on a real API server costs, each process for itself: wall, CPU, memory, bytes received.

    python bench/fake_nodes.py --sizes 4..256                 # the study through Kafka into InfluxDB
    python bench/fake_nodes.py --sizes 5000 --images 1 --controller-qps 1000 --embedded

The servers are those of tests/stack, built before. ``pulldriver sweep --provider kwok`` is run as a user runs it; its
processes are looked at twice a second, and what their sockets received from the API server is asked of ``ss``.
Afterwards every pull is counted where it was stored, against the pods that the API server listed.
"""

import argparse
import asyncio
import json
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
LOOK_SECONDS = 0.5
SOCKETS_EACH = 2  # looks: ss costs more than psutil
PROGRAMS = ("collector", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
ORDER = ("pulldriver", "collector", "kubelets", *PROGRAMS[1:], "kafka", "influxd")
SIZE = re.compile(r"kwok-[a-z0-9-]+?-(\d+)\b")
RECEIVED = re.compile(r"bytes_received:(\d+)")
OWNER = re.compile(r"pid=(\d+)")


@dataclass
class Cost:
    """Of one process."""

    program: str
    size: int | None
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    received: dict[tuple[str, str], int] = field(default_factory=dict)  # by local and remote address


class Sampler:
    """Looks at a process and all that it started, and at other roots, until it is stopped."""

    def __init__(self, roots: dict[int, str]) -> None:
        self._roots = roots
        self.costs: dict[int, Cost] = {}

    async def run(self) -> None:
        looks = 0
        while True:
            self.look()
            if looks % SOCKETS_EACH == 0:
                await self._look_at_sockets()
            looks += 1
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        for pid, name in self._roots.items():
            try:
                root = psutil.Process(pid)
                for process in [root, *root.children(recursive=True)]:
                    self._look_at(process, name if process.pid == pid else None)
            except psutil.Error:  # it has just ended
                continue

    def _look_at(self, process: psutil.Process, name: str | None) -> None:
        try:
            with process.oneshot():
                cost = self.costs.get(process.pid)
                if cost is None or cost.program == "?":
                    cost = self.costs[process.pid] = Cost(*_known(process, name))
                times = process.cpu_times()
                cost.cpu_seconds = times.user + times.system
                cost.peak_bytes = max(cost.peak_bytes, process.memory_info().rss)
        except psutil.Error:
            return

    async def _look_at_sockets(self) -> None:
        ss = await asyncio.create_subprocess_exec("ss", "-tniHpO", stdout=asyncio.subprocess.PIPE)
        said, _ = await ss.communicate()
        for line in said.decode().splitlines():
            owner, received = OWNER.search(line), RECEIVED.search(line)
            if owner and received and (cost := self.costs.get(int(owner[1]))):
                local, remote = line.split()[3:5]
                cost.received[local, remote] = int(received[1])


def _known(process: psutil.Process, name: str | None) -> tuple[str, int | None]:
    """The program and the size of the cluster that it works for."""
    line = process.cmdline()
    whole = " ".join(line)
    size = SIZE.search(whole)
    names = [Path(word).name for word in line[:2]]
    found = next((program for program in PROGRAMS if program in names), "?")
    if "driver.providers.kwok.kubelets" in line:
        found = "kubelets"
    return name or found, int(size[1]) if size else None


def summed(costs: dict[int, Cost], api_ports: set[str]) -> list[dict[str, Any]]:
    """A row a program: CPU of all its processes, memory of the largest, bytes that came from an API server."""
    rows: dict[str, dict[str, Any]] = {}
    for cost in costs.values():
        row = rows.setdefault(cost.program, {"cpu_seconds": 0.0, "peak_mib": 0.0, "api_mib": 0.0})
        row["cpu_seconds"] += cost.cpu_seconds
        row["peak_mib"] = max(row["peak_mib"], cost.peak_bytes / 2**20)
        received = (count for (_, remote), count in cost.received.items() if remote.rpartition(":")[2] in api_ports)
        row["api_mib"] += sum(received) / 2**20
    return [{"program": name, **rows[name]} for name in ORDER if name in rows]


def pods_and_audits(out: Path) -> tuple[set[str], dict[str, int]]:
    """The pods that the driver listed at the API server, and what its audits say of events listed there."""
    with closing(sqlite3.connect(out / "study.sqlite3")) as store:
        pods = {uid for (uid,) in store.execute("SELECT pod_uid FROM job_pods")}
        sums = "SELECT sum(expected), sum(events), sum(stored), sum(recovered) FROM audits"
        audits = dict(zip(("expected", "events", "stored", "recovered"), store.execute(sums).fetchone(), strict=True))
    return pods, audits


def embedded_pulls(out: Path) -> list[str]:
    with closing(sqlite3.connect(out / "study.sqlite3")) as store:
        return [uid for (uid,) in store.execute("SELECT pod_uid FROM pulls")]


async def influx_pulls(influx: Any) -> list[str]:
    """As its own Flux counts them."""
    pulls = await influx.query(
        f'from(bucket: "{influx.bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "pull" and'
        ' r._field == "pod_uid") |> group() |> keep(columns: ["_value"])'
    )
    return [row["_value"] for row in pulls]


def compared_with_pods(pods: set[str], pulls: list[str]) -> dict[str, int]:
    """One pull a pod is right."""
    kept = pods & set(pulls)
    return {"pods": len(pods), "pulls": len(pulls), "missing": len(pods - kept), "surplus": len(pulls) - len(kept)}


def write_study(path: Path, options: argparse.Namespace) -> None:
    from driver.planning.seed_images import TAGS

    large = [tag for tag in TAGS["seed-38"] if int(tag.split("-")[3]) > 1_000_000_000]
    tags = json.dumps(large[: options.images])
    path.write_text(
        f'name = "pulling-study"\n[images]\ntags = {tags}\n[kwok]\nspeed = {options.speed}\n'
        f"controller_qps = {options.controller_qps}\nlease_seconds = {options.lease_seconds}\n"
        f'[job]\ncommand = ["sleep", "{options.sleep}"]\n[limits]\npods_gone_seconds = 900.0\ndrain_seconds = 300.0\n'
    )


async def sweep(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    from tests.stack.home import StackHome
    from tests.stack.influx import Influx
    from tests.stack.kafka import Kafka

    home = StackHome.from_environment()
    study = out / "study.toml"
    write_study(study, options)
    programs = os.pathsep.join([str(home.root / "bin"), "/usr/sbin", os.environ["PATH"]])
    command = [str(Path(sys.executable).with_name("pulldriver")), "sweep", "--provider", "kwok", "--sizes"]
    command += [options.sizes, "--study", str(study), "--out", str(out)]
    environment, roots, influx = {**os.environ, "PATH": programs}, dict[int, str](), None
    async with AsyncExitStack() as servers:
        if not options.embedded:
            kafka = await servers.enter_async_context(Kafka(home, out / "kafka"))
            influx = await servers.enter_async_context(Influx(home, out / "influx"))
            command += ["--kafka", kafka.bootstrap, "--influx", influx.url]
            environment |= influx.environment()
            roots = {server.process.pid or 0: server.process.name for server in (kafka, influx)}
        began = time.perf_counter()
        driver = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        sampler = Sampler({driver.pid: "pulldriver", **roots})
        looking = asyncio.create_task(sampler.run())
        async for line in _lines(driver):
            print(f"{time.perf_counter() - began:8.1f}  {line}", file=sys.stderr)
        code = await driver.wait()
        wall = time.perf_counter() - began
        looking.cancel()
        pulls = embedded_pulls(out) if influx is None else await influx_pulls(influx)
    pods, audits = pods_and_audits(out)
    found = {"code": code, "wall_seconds": wall, "stored": compared_with_pods(pods, pulls), "audits": audits}
    return {**found, "processes": summed(sampler.costs, _ports(out))}


def _ports(out: Path) -> set[str]:
    """Of the API servers that there were."""
    return {port for path in out.glob("clusters/*/kubeconfig") for port in re.findall(r":(\d+)\"", path.read_text())}


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield line.decode().rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="4..256", help="as pulldriver takes them (4..256)")
    parser.add_argument("--images", type=int, default=12, help="so many of the seed's 12 of 1 GB and more")
    parser.add_argument("--speed", type=float, default=20.0, help="model seconds a second (20)")
    parser.add_argument("--controller-qps", type=float, default=100.0, help="of kube-controller-manager (100)")
    parser.add_argument("--lease-seconds", type=int, default=40, help="of the nodes' leases (40)")
    parser.add_argument(
        "--sleep",
        type=int,
        default=10,
        help="seconds that a pod stays, so that none ends before the last has a node (10)",
    )
    parser.add_argument("--embedded", action="store_true", help="the embedded store in place of Kafka and InfluxDB")
    parser.add_argument("--out", type=Path, help="keep everything there (a temporary directory)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(sweep(options, out.resolve()))
    found = {"sizes": options.sizes, "images": options.images, "speed": options.speed, "load_before": load, **found}
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    sys.exit(found["code"])


def _show(found: dict[str, Any]) -> None:
    stored = found["stored"]
    print(f"\nload average before: {found['load_before']:.1f}; wall: {found['wall_seconds']:.1f} s")
    print(", ".join(f"{count:,} {what}" for what, count in stored.items()))
    print("audits: " + ", ".join(f"{count:,} {what}" for what, count in found["audits"].items()))
    print(f"{'process':<28}{'CPU s':>8}{'peak MiB':>10}{'MiB from the API':>18}")
    for row in found["processes"]:
        api = f"{row['api_mib']:.1f}" if row["api_mib"] else ""
        print(f"{row['program']:<28}{row['cpu_seconds']:>8.1f}{row['peak_mib']:>10.0f}{api:>18}")


if __name__ == "__main__":
    main()
