"""One Indexed Job of very many pods: simulator, collector, Kafka, sink and InfluxDB, each of them killed once.

    python -m bench.many_pods [--pods 100000] [--nodes 5000] [--speed 10] [--seed 1] [--no-kills] [--json FILE]

The simulator is a process of its own; its virtual clock goes on while nobody watches. An event lives for one of its
hours: at full speed (``--speed max``) that is over in minutes, and who comes back later finds nothing. Collector, sink,
broker and InfluxDB are killed at points drawn from the seed, and started again up to three seconds later. Events of a
pull that was reported, by the simulator's own truth, are compared with the points in InfluxDB by (uid, count).

- missing, surplus, doubled: of these identities;
- the collector's memory: at most, and in the middle of each fifth of the run: it is not to grow with the pods;
- CPU: of collector and sink over all their starts, Python's own start of about a second each included.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import aiohttp
import yaml

from tests.real.collecting import Collector, CollectorCommand
from tests.real.faults import Victim, inflict, kills
from tests.real.load import Identity
from tests.real.points import Points
from tests.real.production_path import PATIENT, STORING
from tests.real.vitals import Vitals
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka
from tests.stack.process import Process
from tests.stack.wait import until

MEBIBYTE = 2**20
IMAGE = "ghcr.io/converged-computing/container-chonks-run1:9-layers-size-158049655-bytes"
JOB = "many"
JOBS = "apis/batch/v1/namespaces/default/jobs"
PODS = "api/v1/namespaces/default/pods"
MADE_SECONDS, DONE_SECONDS, STORED_SECONDS = 120.0, 3600.0, 600.0
FIFTHS = 5
VICTIMS = ("collector", "sink", "kafka", "influxdb")


class Simulator:
    """One cluster's API server, and what only a simulator can be asked."""

    def __init__(self, nodes: int, seed: int, speed: str, directory: Path) -> None:
        self.kubeconfig = directory / "sim.yaml"
        command = [sys.executable, "-m", "pullstudy.sim", "--nodes", str(nodes), "--seed", str(seed), "--speed", speed]
        self.process = Process("simulator", [*command, "--kubeconfig", self.kubeconfig], directory)

    async def start(self) -> None:
        """Return when it can be asked."""
        self.process.start()

        async def is_there() -> bool:
            return self.kubeconfig.exists()

        await until(is_there, MADE_SECONDS, f"the simulator ({self.process.log})")

    async def ask(self, path: str, body: Any = None) -> Any:
        """The JSON of an answer; POST where there is a body. Raises aiohttp.ClientError."""
        url = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request("GET" if body is None else "POST", f"{url}/{path}", json=body) as answer,
        ):
            return await answer.json()

    async def told(self) -> set[Identity]:
        """The identities of all pulls that an event told of."""
        rows = await self.ask("sim/truth")
        return {(row["event_uid"], row["count"]) for row in rows if row["event_uid"] is not None}


def job_of(pods: int) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "command": ["true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": JOB, "namespace": "default"},
        "spec": {
            "completions": pods,
            "parallelism": pods,
            "completionMode": "Indexed",
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


@dataclass
class Progress:
    """Pods that were made, as far as was seen."""

    made: int = 0

    async def watch(self, simulator: Simulator, pods: int) -> None:
        """Until all have ended."""
        ended = 0
        while ended < pods:
            status = (await simulator.ask(f"{JOBS}/{JOB}"))["status"]
            ended = status.get("succeeded", 0) + status.get("failed", 0)
            listed = (await simulator.ask(f"{PODS}?limit=1"))["metadata"]  # the job's status comes late
            self.made = 1 + listed.get("remainingItemCount", 0)
            await asyncio.sleep(0.5)


async def measured(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """The run, on servers of its own."""
    home, random = StackHome.from_environment(), Random(options.seed)
    simulator = Simulator(options.nodes, options.seed, options.speed, directory)
    try:
        async with Kafka(home, directory / "kafka") as kafka, Influx(home, directory / "influx") as influx:
            await simulator.start()
            bus = ["--kafka", kafka.bootstrap]
            collector = Collector(simulator.kubeconfig, directory, more=[*bus, *PATIENT])
            sink = CollectorCommand(
                "sink", ["sink", *bus, "--influx", influx.url], directory, STORING, influx.environment()
            )
            async with collector, sink:
                victims = dict(zip(VICTIMS, map(Victim, (collector, sink, kafka, influx)), strict=True))
                vitals = Vitals({"collector": collector.process, "sink": sink.process})
                looking = asyncio.create_task(vitals.run())
                try:
                    facts = await pulled(options, random, simulator, victims)
                    facts |= await stored(simulator, Points(influx, influx.bucket))
                finally:
                    looking.cancel()
                return facts | used(vitals)
    finally:
        simulator.process.kill()


async def pulled(
    options: argparse.Namespace, random: Random, simulator: Simulator, victims: Mapping[str, Victim]
) -> dict[str, Any]:
    """The job from its creation to its end, with a kill of each on the way."""
    times = {} if options.no_kills else dict.fromkeys(victims, 1)
    faults = kills(random, times, options.pods, most_seconds=3.0)
    progress, began = Progress(), time.monotonic()
    await simulator.ask(JOBS, job_of(options.pods))
    async with asyncio.timeout(DONE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(progress.watch(simulator, options.pods))
        group.create_task(inflict(faults, victims, lambda: progress.made, say, DONE_SECONDS))
    state = await simulator.ask("sim/state")
    return {"job_seconds": time.monotonic() - began, "virtual_seconds": state["seconds"], "kills": len(faults)}


async def stored(simulator: Simulator, points: Points) -> dict[str, Any]:
    """What is in InfluxDB beside the truth, once nothing of it is missing or nothing more comes."""
    told, began = await simulator.told(), time.monotonic()

    async def all_there() -> bool:
        return await points.count() >= len(told)

    try:
        await until(all_there, STORED_SECONDS, "all points", poll_seconds=2.0)
    finally:
        found = await points.identities()
    return {
        "told": len(told),
        "points": sum(found.values()),
        "missing": len(told - found.keys()),
        "surplus": len(found.keys() - told),
        "doubled": sum(found.values()) - len(found),
        "gaps": len(await points.gaps()),
        "stored_after_seconds": time.monotonic() - began,
    }


def used(vitals: Vitals) -> dict[str, Any]:
    """Memory and CPU of collector and sink."""
    facts: dict[str, Any] = {}
    for name in ("collector", "sink"):
        parts = [vitals.between(name, part / FIFTHS, (part + 1) / FIFTHS) for part in range(FIFTHS)]
        facts[f"{name}_mebibytes"] = [
            round(median(reading.resident_bytes for reading in part) / MEBIBYTE) if part else None for part in parts
        ]
        facts[f"{name}_most_mebibytes"] = round(vitals.peak_bytes(name) / MEBIBYTE)
        facts[f"{name}_cpu_seconds"] = round(vitals.cpu_seconds(name), 1)
    return facts


def say(line: str) -> None:
    print(f"  {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; 1 if the points are not exactly what was told."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--speed", default="10", metavar="X", help="virtual seconds a real second, or max")
    parser.add_argument("--seed", type=int, default=1, help="of the simulator and of the kills")
    parser.add_argument("--no-kills", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory:
        facts = asyncio.run(measured(options, Path(directory)))
    facts = {
        "pods": options.pods,
        "nodes": options.nodes,
        "load_before": load,
        "load_after": os.getloadavg()[0],
    } | facts
    for name, value in facts.items():
        print(f"{name:>24}  {value:.1f}" if isinstance(value, float) else f"{name:>24}  {value}")
    if options.json:
        options.json.write_text(json.dumps(facts))
    if facts["missing"] or facts["surplus"] or facts["doubled"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
