"""What spans cost the runtime: its CPU seconds for the same pulls with and without them, in turn."""

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any

from driver.profiling.cri import Cri, runtime
from pullstudy.analysis.statistics.confidence import errors_to_bound
from tests.real.pull_site import PullSite
from tests.real.traced_node import TracedNode, cold_pull
from tests.stack.containerd_node import ContainerdNode, Settings

WITHOUT = "neither"
WAYS = {
    WITHOUT: Settings(debug=False, traced=False),
    "spans": Settings(debug=False),
    "spans and debug log": Settings(),
    "debug log": Settings(traced=False),
}


async def cost(site: PullSite, directory: Path, images: list[str], repeats: int, seed: int) -> list[dict[str, Any]]:
    """A row a pull: one of each way a round, in random order, on nodes that are new for each image."""
    rows: list[dict[str, Any]] = []
    for place, image in enumerate(images):
        async with _nodes(site, directory / f"image-{place}") as nodes:
            for round_number in range(-1, repeats):  # the first is no measurement: programs come from the disk
                order = list(nodes)
                Random(seed + round_number).shuffle(order)
                for way in order:
                    pull = await cold_pull(*nodes[way], image)
                    cpu = pull.used.cpu_seconds + pull.used.child_cpu_seconds
                    if round_number >= 0:
                        rows.append({"image": image, "way": way, "round": round_number, "cpu": cpu, "s": pull.seconds})
        print(f"  {image}: {repeats} rounds", flush=True)
    return rows


@asynccontextmanager
async def _nodes(site: PullSite, directory: Path) -> AsyncIterator[dict[str, tuple[ContainerdNode, Cri]]]:
    """One of each way."""
    async with AsyncExitStack() as stack:
        nodes = {}
        for number, (way, settings) in enumerate(WAYS.items()):
            node = site.node(directory / f"way-{number}", settings, number)
            # A collector takes the spans: an exporter that cannot send works too.
            await stack.enter_async_context(TracedNode(node, directory / f"way-{number}") if settings.traced else node)
            nodes[way] = node, await stack.enter_async_context(runtime(node.socket))
        yield nodes


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Means, and by how much more with its interval: of the differences within a round."""
    yield "| image | way | CPU s | more than without | seconds |"
    yield "|-|-|--:|--:|--:|"
    for image in dict.fromkeys(row["image"] for row in rows):
        of = {way: [row for row in rows if (row["image"], row["way"]) == (image, way)] for way in WAYS}
        without = {row["round"]: row["cpu"] for row in of[WITHOUT]}
        base = fmean(without.values())
        for way, group in of.items():
            more = [(row["cpu"] - without[row["round"]]) / base for row in group]
            seconds, cpu = fmean(row["s"] for row in group), fmean(row["cpu"] for row in group)
            yield f"| {image} | {way} | {cpu:.3f} | {_interval(more) if way != WITHOUT else ''} | {seconds:.2f} |"


def _interval(values: list[float]) -> str:
    half = errors_to_bound(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{fmean(values):+.1%} ({fmean(values) - half:+.1%} to {fmean(values) + half:+.1%})"
