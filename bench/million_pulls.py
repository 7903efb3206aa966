"""A million pulls in a file: seconds of CPU and the peak of memory of each command that reads them.

    python -m bench.million_pulls [--pulls 1000000] [--kind jobs|sweep|services] [--command "report"]

Makes studies in a temporary directory, by rows put straight into the tables, and runs each command as a process:

- jobs: logs of 20,000 Indexed Jobs (50 pods each on average, at five sizes), imported: events, no ledger;
- sweep: the same as a sweep has it, with a ledger's row for each job, node of a job, pod and audit;
- services: pods of Deployments, DaemonSets and StatefulSets, none of a job, on 2,000 nodes; one in fifty fails first.

The pages are looked at for their size. ``compare`` reads the study twice, as two sides.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pullstudy.pulls.kind import Kind
from pullstudy.pulls.kinds import MILESTONE, PULL
from pullstudy.store.embedded.rows import time_text
from pullstudy.store.embedded.store import open_connection

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
RUN = "million"
SIZES = (10, 30, 50, 70, 90)
PODS_OF_JOB = sum(SIZES) / len(SIZES)
IMAGE_GIGABYTES = tuple(round(0.5 + 0.45 * number, 2) for number in range(40))
REGISTRIES = ("registry.k8s.io", "quay.io", "docker.io", "123456789012.dkr.ecr.eu-central-1.amazonaws.com")
# Of a pod, after it was created: seconds until each moment but those around the pull.
SCHEDULED, PULLING, CREATED, STARTED = 0.05, 0.9, 0.2, 0.4
AT_ONCE = 50_000
COPIES = 20  # of each job and pod, a month apart: rows are made in Python once, and multiplied by SQLite
TIMES = ("at", "started_at", "finished_at", "scheduled_at", "created_at", "completed_at", "deleted_at")

Row = dict[str, Any]


class Tables:
    """Puts rows into a new study's file."""

    def __init__(self, directory: Path) -> None:
        self._connection = open_connection(directory, create=True)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA cache_size = -500000")
        made = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        self._indexes = self._connection.execute(made).fetchall()
        for name, _ in self._indexes:  # made again at the end: row by row they would take most of the time
            self._connection.execute(f"DROP INDEX {name}")
        self._connection.execute("BEGIN")
        self._kept: dict[str, list[tuple[Any, ...]]] = {}
        self._serial = 0

    def add(self, table: str, row: Row) -> None:
        statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        rows = self._kept.setdefault(statement, [])
        rows.append(tuple(row.values()))
        if len(rows) >= AT_ONCE:
            self._put(statement)

    def record(self, kind: Kind[Any], row: Row) -> None:
        self._serial += 1
        self.add(kind.table, {**row, "count": 1, "event_uid": f"{self._serial:012x}-0000-4000-8000-000000000000"})

    def close(self) -> None:
        for statement in self._kept:
            self._put(statement)
        for table in ("pull_records", "milestone_records", "jobs", "job_nodes", "job_pods", "audits"):
            for copy in range(1, COPIES):
                self._multiply(table, copy)
        self._connection.execute("COMMIT")
        for _, statement in self._indexes:
            self._connection.execute(statement)
        self._connection.close()

    def _multiply(self, table: str, copy: int) -> None:
        """Once more all that was put, with names of its own, so many months later."""
        year, month = divmod(copy, 12)
        copied = {
            "job": f"job || '-{copy}'",
            "pod": f"coalesce(job || '-{copy}' || substr(pod, length(job) + 1), pod)",
            "pod_uid": f"pod_uid || '-{copy}'",
            "event_uid": f"event_uid || '-{copy}'",
            "position": f"position + 100000 * {copy}",
            **{time: f"'{BEGAN.year + year}-{month + 1:02}' || substr({time}, 8)" for time in TIMES},
        }
        names = [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(copied.get(name, name) for name in names)
        own = (
            "WHERE job IS NULL OR job NOT LIKE 'pull-%-%'"
            if "event_uid" not in names
            else "WHERE length(event_uid) = 40"
        )
        self._connection.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} {own}")

    def _put(self, statement: str) -> None:
        self._connection.executemany(statement, self._kept[statement])
        self._kept[statement].clear()


def text(at: float) -> str:
    return time_text(BEGAN + timedelta(seconds=at))


def pod_life(tables: Tables, place: Row, image: str, at: float, seconds: float, image_bytes: int) -> float:
    """A pod created at that time: its pull and its moments. Returns when it started."""
    repository, _, tag = image.rpartition(":")
    pulling = at + SCHEDULED + PULLING
    pulled = pulling + seconds
    started = pulled + STARTED
    tables.record(
        PULL,
        {
            **place,
            "image": image,
            "repository": repository,
            "tag": tag,
            "outcome": "pulled",
            "started_at": text(pulling),
            "finished_at": text(pulled),
            "pull_seconds": seconds,
            "waiting_seconds": 0.0,
            "image_bytes": image_bytes,
        },
    )
    node = place["node"]
    for moment, when, container, clock in (
        ("pod_created", at, None, "control-plane"),
        ("scheduled", at + SCHEDULED, None, "control-plane"),
        ("pulling", pulling, "main", node),
        ("pulled", pulled, "main", node),
        ("created", pulled + CREATED, "main", node),
        ("started", started, "main", node),
    ):
        witness = {"resolution_seconds": 1e-6, "witness": "event-name", "clock": clock}
        tables.record(MILESTONE, {**place, "container": container, "moment": moment, "at": text(when), **witness})
    return started


def make_jobs(directory: Path, pulls: int, *, ledger: bool) -> None:
    tables, random = Tables(directory), Random(1)
    study = json.dumps({"name": RUN, "cluster": {"price": {"per_node_hour": 0.6, "currency": "USD"}}})
    provider = "kubeconfig" if ledger else "import"
    tables.add("runs", {"run": RUN, "provider": provider, "study": study, "started_at": text(0)})
    for size in SIZES:
        cluster = f"lab-{size}"
        tables.add("clusters", {"cluster": cluster, "run": RUN, "size": size, "state": "down"})
        clock = 0.0
        for position in range(round(pulls / COPIES / PODS_OF_JOB / len(SIZES))):
            clock = make_job(tables, random, cluster, size, position, clock, ledger=ledger) + 3.0
    tables.close()


def make_job(
    tables: Tables, random: Random, cluster: str, size: int, position: int, at: float, *, ledger: bool
) -> float:
    gigabytes = IMAGE_GIGABYTES[position % len(IMAGE_GIGABYTES)]
    image = f"{REPOSITORY}:9-layers-size-{round(gigabytes * 1e9)}-bytes"
    job = f"pull-{position:05d}"
    mean = 2.0 + 6.0 * gigabytes * random.gauss(1.0, 0.05)
    end = at
    for index in range(size):
        pod = f"{job}-{index}-{random.getrandbits(20):05x}"
        place = {
            "cluster": cluster,
            "run": RUN,
            "size": size,
            "node": f"ip-10-0-{size}-{index}.ec2.internal",
            "namespace": "default",
            "job": job,
            "pod": pod,
            "pod_uid": f"{random.getrandbits(64):016x}-{position:05d}-{index:04d}",
            "container": "main",
        }
        seconds = mean * max(0.3, random.gauss(1.0, 0.08))
        started = pod_life(tables, place, image, at + 0.1 + 0.02 * index, seconds, round(gigabytes * 4e8))
        end = max(end, started + 2.0)
        if ledger:
            add_ledger_pod(tables, place, image, started)
    tables.record(
        MILESTONE,
        {
            **{"cluster": cluster, "run": RUN, "size": size, "namespace": "default", "job": job},
            **{"moment": "job_completed", "at": text(end), "resolution_seconds": 1e-6},
            **{"witness": "event-name", "clock": "control-plane"},
        },
    )
    if ledger:
        add_ledger_job(tables, {"job": job, "cluster": cluster}, size, image, position, at, end)
    return end


def add_ledger_pod(tables: Tables, place: Row, image: str, started: float) -> None:
    name = {column: place[column] for column in ("cluster", "job", "node")}
    tables.add("job_nodes", {**name, "cache": "cold"})
    pod = {column: place[column] for column in ("pod", "pod_uid", "container")}
    times = {"started_at": text(started)[:19] + "Z", "finished_at": text(started + 1.5)[:19] + "Z"}
    tables.add("job_pods", {**name, **pod, "image": image, "phase": "Succeeded", **times})


def add_ledger_job(tables: Tables, name: Row, size: int, image: str, position: int, began: float, ended: float) -> None:
    attempt = {"run": RUN, "size": size, "image": image, "repeat": 1, "attempt": 1, "position": position}
    times = {"created_at": text(began), "completed_at": text(ended), "deleted_at": text(ended + 1)}
    tables.add("jobs", {**name, **attempt, "cache_mode": "cold", "state": "done", **times})
    seen = {"events": size, "pod_status": size, "spooled": size, "stored": size, "recovered": 0}
    tables.add("audits", {**name, "expected": size, **seen})


def make_services(directory: Path, pulls: int) -> None:
    tables, random = Tables(directory), Random(2)
    images = [
        (
            f"{REGISTRIES[number % 4]}/team-{number % 23}/service-{number}:v{number % 7}.{number % 3}",
            0.05 + 0.01 * number,
        )
        for number in range(300)
    ]
    study = json.dumps({"name": "services"})
    tables.add("runs", {"run": RUN, "provider": "import", "study": study, "started_at": text(0)})
    tables.add("clusters", {"cluster": "prod", "run": RUN, "size": 2000, "state": "down"})
    for number in range(pulls // COPIES):
        image, gigabytes = images[min(int(random.expovariate(1 / 40)), 299)]
        service = image.rpartition("/")[2].partition(":")[0]
        node = random.randrange(2000)
        place = {
            "cluster": "prod",
            "run": RUN,
            "size": 2000,
            "node": f"gke-prod-pool-{node % 5}-{node:04x}",
            "namespace": f"team-{node % 40}",
            "pod": f"{service}-{'4567bcdf9'[number % 9]}{service_hash(number)}-{letters(random)}",
            "pod_uid": f"{random.getrandbits(64):016x}-{number:09d}",
            "container": "main",
        }
        at = number * 27 * 86400 / (pulls / COPIES)
        if random.random() < 0.02:
            add_failure(tables, place, image, at, random)
        seconds = (1.0 + 9.0 * gigabytes) * random.lognormvariate(0, 0.4)
        pod_life(tables, place, image, at, seconds, round(gigabytes * 4e8))
    tables.close()


def service_hash(number: int) -> str:
    return "".join("4567bcdf"[number >> shift & 7] for shift in (3, 6, 9, 12, 15, 18, 3, 6))


def letters(random: Random) -> str:
    return "".join(random.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))


def add_failure(tables: Tables, place: Row, image: str, at: float, random: Random) -> None:
    error = random.choice(
        (
            f'failed to pull and unpack image "{image}": 429 Too Many Requests',
            f'failed to resolve reference "{image}": {place["pod"]}: not found',
            "context deadline exceeded",
        )
    )
    failing = {**place, "image": image, "repository": image.rpartition(":")[0], "finished_at": text(at)}
    tables.record(PULL, {**failing, "outcome": "failed", "error": error})
    tables.record(PULL, {**failing, "outcome": "backoff"})


MAKERS = {
    "jobs": lambda directory, pulls: make_jobs(directory, pulls, ledger=False),
    "sweep": lambda directory, pulls: make_jobs(directory, pulls, ledger=True),
    "services": make_services,
}
COMMANDS = ("report", "report --json", "export phases", "compare")


def arguments(command: str, study: Path, results: Path) -> list[str]:
    if command == "compare":
        return ["compare", str(study), str(study)]
    if command == "export phases":
        return ["export", "phases", "--out", str(study), "--to", str(results / "phases.csv")]
    return [*command.split(), "--out", str(study)]


def measured(command: str, study: Path, results: Path) -> tuple[float, float, float, int]:
    """Seconds of CPU and of the wall, the peak in MiB, the exit code."""
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        output = os.open(results / "out.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        program = str(Path(sys.executable).with_name("pulldriver"))
        os.execv(program, [program, *arguments(command, study, results)])
    _, status, usage = os.wait4(process, 0)
    wall = time.monotonic() - began
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def sizes_of(study: Path, results: Path) -> Iterator[str]:
    for path in (study / "report.html", results / "phases.csv", results / "out.txt"):
        if path.is_file():
            yield f"{path.name} {path.stat().st_size / 1e6:.2f} MB"
            path.unlink()


def run(kinds: Sequence[str], pulls: int, commands: Sequence[str], where: Path) -> None:
    for kind in kinds:
        study = where / kind
        if not study.is_dir():
            began = time.monotonic()
            MAKERS[kind](study, pulls)
            print(f"{kind}: made in {time.monotonic() - began:.0f} s", flush=True)
        with closing(open_connection(study, create=False)) as connection:
            counts = [
                connection.execute(f"SELECT count(*) FROM {each.table}").fetchone()[0] for each in (PULL, MILESTONE)
            ]
        megabytes = sum(path.stat().st_size for path in study.glob("study.sqlite3*")) / 1e6
        print(f"{kind}: {counts[0]:,} pulls, {counts[1]:,} milestones, {megabytes:,.0f} MB", flush=True)
        for command in commands:
            cpu, wall, peak, code = measured(command, study, where)
            made = ", ".join(sizes_of(study, where))
            print(f"  {command:14} {cpu:6.1f} CPU s  {wall:6.1f} s  {peak:5.0f} MiB  exit {code}  {made}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pulls", type=int, default=1_000_000)
    parser.add_argument("--kind", action="append", choices=MAKERS, help="default: all")
    parser.add_argument("--command", action="append", choices=COMMANDS, help="default: all")
    parser.add_argument("--keep", type=Path, help="a directory where the studies stay, to be used again")
    options = parser.parse_args()
    kinds, commands = options.kind or tuple(MAKERS), options.command or COMMANDS
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        run(kinds, options.pulls, commands, options.keep)
        return
    with tempfile.TemporaryDirectory(prefix="million-pulls-") as directory:
        run(kinds, options.pulls, commands, Path(directory))


if __name__ == "__main__":
    main()
