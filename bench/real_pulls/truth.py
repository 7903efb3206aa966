"""What is put in, one thing at a time, is found again in its own stage and in no other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from bench.real_pulls.sums import stage_seconds
from pullstudy.pulls.stage import Stage
from tests.real.pull_site import REGISTRY_ADDRESS, PullSite
from tests.real.traced_node import TracedNode
from tests.stack.containerd_node import Settings
from tests.stack.process import Process
from tests.stack.server import Server

LINK, SLOW_LINK = 200.0, 100.0  # Mbit/s
PAYLOAD = 1448 / 1514
"""Of a frame of Ethernet: TCP over IPv4 with timestamps. tbf counts frames."""
LATE_SECONDS = 2.0  # the registry's first byte
SLOW_SECONDS = 2.0  # the decompressor's start
CORES = 0.25
NONE = "none"
FRONT = f"{REGISTRY_ADDRESS}:5001"
_UNPIGZ = '#!/bin/sh\nsleep "$(cat {file})"\nexec gzip -d -c\n'


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is put in."""

    name: str
    stage: Stage
    begin: Callable[[], None]
    end: Callable[[], None]
    seconds: float | None  # that it puts in; None where nothing tells beforehand


class _Front(Server):
    def __init__(self, site: PullSite, directory: Path, seconds: Path, python: str) -> None:
        command = [python, "-m", "tests.real.late_blobs", FRONT, site.registry.host, str(seconds)]
        process = Process(
            "front",
            site.place.inside(command),
            directory,
            environment={"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"},
        )
        super().__init__(process)

    async def is_ready(self) -> bool:
        return "Running on" in self.process.output()


_ROOT = Path(__file__).resolve().parents[2]


async def truth(site: PullSite, directory: Path, image: str, repeats: int, seed: int, python: str) -> list[Any]:
    """A row a pull: each fault once a round, in random order, in turn with none."""
    late, slow, unpigz = _files(directory)
    site.rate(LINK)
    rows = []
    async with (
        _Front(site, directory, seconds=late, python=python),
        site.traced(directory / "node", Settings(decompressor=unpigz)) as node,
    ):
        node.node.ask(site.registry.host, FRONT)
        await node.pull(image)
        faults = _faults(site, node, _layer_bytes(site, image), late, slow)
        for round_number in range(repeats):
            order = [*faults]
            Random(seed + round_number).shuffle(order)
            for fault in order:
                fault.begin()
                try:
                    traced = await node.pull(image)
                finally:
                    fault.end()
                rows.append(
                    {"fault": fault.name, "put_in": fault.seconds, "stage": fault.stage.value}
                    | {"client": traced.pull.seconds, "cpu": traced.pull.used.cpu_seconds}
                    | {"stages": stage_seconds(traced)}
                )
                print(f"  {len(rows)}: {fault.name}: {traced.pull.seconds:.2f} s", flush=True)
    return rows


def _files(directory: Path) -> tuple[Path, Path, Path]:
    """How late the registry is, how late the decompressor, and that."""
    directory.mkdir()
    late, slow, unpigz = directory / "late", directory / "slow", directory / "bin" / "unpigz"
    late.write_text("0")
    slow.write_text("0")
    unpigz.parent.mkdir()
    unpigz.write_text(_UNPIGZ.format(file=slow))
    unpigz.chmod(0o755)
    return late, slow, unpigz


def _layer_bytes(site: PullSite, image: str) -> int:
    served = site.registry.served()
    return max(size for _, size in served[-3:])


def _faults(site: PullSite, node: TracedNode, size: int, late: Path, slow: Path) -> list[Fault]:
    def nothing() -> None:
        pass

    def set_to(file: Path, seconds: float) -> Callable[[], None]:
        def put() -> None:
            file.write_text(str(seconds))

        return put

    on_link = 8 * size / PAYLOAD / 1e6 * (1 / SLOW_LINK - 1 / LINK)
    return [
        Fault(NONE, Stage.UNATTRIBUTED, nothing, nothing, 0.0),
        Fault("slow link", Stage.TRANSFER, lambda: site.rate(SLOW_LINK), lambda: site.rate(LINK), on_link),
        Fault("late registry", Stage.FIRST_BYTE, set_to(late, LATE_SECONDS), set_to(late, 0), LATE_SECONDS),
        Fault("late decompressor", Stage.APPLY, set_to(slow, SLOW_SECONDS), set_to(slow, 0), SLOW_SECONDS),
        Fault(
            f"{CORES:g} of a processor",
            Stage.APPLY,
            lambda: node.node.limit_cpu(CORES),
            lambda: node.node.limit_cpu(None),
            None,
        ),
    ]


def table(rows: list[Any]) -> Iterator[str]:
    """Medians: how much each stage grew."""
    base = _medians([row for row in rows if row["fault"] == NONE])
    yield f"| put in | stage | s | grew by, s | of it | {' | '.join(Stage)} |"
    yield "|-|-|--:|--:|--:|" + "--:|" * len(Stage)
    yield f"| nothing: seconds of {sum(row['fault'] == NONE for row in rows)} pulls | | | | | {_cells(base)} |"
    for name in dict.fromkeys(row["fault"] for row in rows if row["fault"] != NONE):
        group = [row for row in rows if row["fault"] == name]
        grown = {stage: seconds - base[stage] for stage, seconds in _medians(group).items()}
        stage, put_in = group[0]["stage"], group[0]["put_in"]
        found = grown[stage]
        share = f"{found / put_in:.1%}" if put_in else ""
        yield f"| {name} | {stage} | {put_in or '':.5} | {found:.3f} | {share} | {_cells(grown)} |"


def _medians(rows: list[Any]) -> dict[str, float]:
    return {stage: median(row["stages"].get(stage, 0.0) for row in rows) for stage in Stage}


def _cells(seconds: dict[str, float]) -> str:
    return " | ".join(f"{seconds[stage]:.3f}" for stage in Stage)
