"""From a real API server through Kafka to InfluxDB: is every event a point, each once, and when can it be queried?

    python -m bench.production_path [--events 10000] [--nodes 256] [--kills SEED ...] [--json FILE]

Starts API server with etcd, Kafka and InfluxDB of the test stack (tests/stack) on loopback ports, a ``collector
--kafka`` and a ``collector sink``, and writes real Event objects in bursts, most of them Pulled, some BackOff that are
counted up in place. With ``--kills`` there is a run more for each seed, in which broker, InfluxDB and API server are
killed once each, the collector three times and the sink twice, at points drawn from the seed.

- missing, surplus, doubled: (uid, count) that the API server acknowledged beside those that Flux lists;
- queryable: from the acknowledgement, read by the writer, to the end of the first Flux answer that has the record; it
  is too long by up to "step", the time from one answer to the next (tests/real/prober.py);
- CPU: of collector and sink, over all their starts, Python's own start of about a second each included.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from tests.real.faults import Fault, kills
from tests.real.load import CountedUp, Load
from tests.real.measured_run import Measured, measured_run
from tests.real.production_path import ProductionPath
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka

TIMES_KILLED = {"kafka": 1, "influxdb": 1, "api-server": 1, "collector-0": 3, "sink-0": 2}
COLUMNS = ("points", "missing", "surplus", "twice", "write s", "p50 s", "p99 s", "most s", "step s", "after s")


async def one_run(name: str, options: argparse.Namespace, faults: Sequence[Fault]) -> dict[str, Any]:
    """On servers of its own."""
    home = StackHome.from_environment()
    load = Load(events=options.events, nodes=options.nodes, burst_events=options.burst, every_seconds=options.every)
    counted = CountedUp(events=options.backoffs, counts=options.counts, nodes=options.nodes, pause_seconds=1.0)
    with tempfile.TemporaryDirectory() as directory:
        at = Path(directory)
        async with (
            ControlPlane(home, at / "cluster", controllers=False) as cluster,
            Kafka(home, at / "kafka") as kafka,
            Influx(home, at / "influx") as influx,
            ProductionPath(cluster, kafka, influx, at) as path,
        ):
            run, _ = await measured_run(path, load, counted, faults, lambda line: print(f"  {line}", flush=True))
    show(name, run)
    return as_json(name, run, faults)


def show(name: str, run: Measured) -> None:
    """A line of the table, and what the processes took."""
    found = run.difference
    exact = (found.points, len(found.missing), len(found.surplus), found.doubled)
    times = (run.write_seconds, run.queryable_p50, run.queryable_p99, run.queryable_most, run.step_p50)
    cells = [f"{value:,}" for value in exact] + [f"{value:.2f}" for value in (*times, run.all_queryable_after)]
    print(f"{name:<14}" + "".join(f"{cell:>9}" for cell in cells), flush=True)
    for process, used in run.used.items():
        per_thousand = used.cpu_seconds * 1000 / found.acknowledged
        print(f"  {process}: {per_thousand:.2f} CPU s per 1,000 events, at most {used.peak_mib:.0f} MiB", flush=True)


def as_json(name: str, run: Measured, faults: Sequence[Fault]) -> dict[str, Any]:
    """All of it but the sets themselves."""
    times = {key: round(value, 3) for key, value in vars(run).items() if isinstance(value, float)}
    found = run.difference
    counts = {"acknowledged": found.acknowledged, "points": found.points, "doubled": found.doubled}
    sets = {"missing": len(found.missing), "surplus": len(found.surplus), "gaps": len(run.gaps)}
    used = {process: asdict(each) for process, each in run.used.items()}
    return {"run": name, **counts, **sets, **times, "used": used, "faults": [str(fault) for fault in faults]}


async def run_all(options: argparse.Namespace) -> bool:
    """The runs, one after the other; whether all of them are exact."""
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores for everything, load {os.getloadavg()[0]:.1f}")
    print(f"{options.events:,} events of {options.nodes} nodes, {options.burst} every {options.every:g} s at most")
    print(f"{'':<14}" + "".join(f"{name:>9}" for name in COLUMNS), flush=True)
    planned: dict[str, Sequence[Fault]] = {"undisturbed": ()}
    for seed in options.kills:
        planned[f"kills, {seed}"] = kills(Random(seed), TIMES_KILLED, options.events)
    done = [await one_run(name, options, faults) for name, faults in planned.items()]
    if options.json is not None:
        options.json.write_text(json.dumps({"cores": os.cpu_count(), "runs": done}, indent=1) + "\n")
    return all(not (run["missing"] or run["surplus"] or run["doubled"] or run["gaps"]) for run in done)


def main() -> None:
    """The command; 1 if a run was not exact."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=256, help="node names that the events come from")
    parser.add_argument("--burst", type=int, default=500, help="events written together")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one burst to the next")
    parser.add_argument("--backoffs", type=int, default=10, help="events more that are counted up in place")
    parser.add_argument("--counts", type=int, default=40, help="the last count of each of these")
    parser.add_argument("--kills", type=int, nargs="*", default=[], metavar="SEED", help="a run more for each seed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    if not asyncio.run(run_all(parser.parse_args())):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
