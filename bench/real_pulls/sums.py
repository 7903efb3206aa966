"""Do the stages add up to what the client saw, and are the layers' bytes those of the registry's log?"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from pullstudy.pulls.stage import Stage
from tests.real.pull_site import PullSite
from tests.real.traced_node import TracedNode, TracedPull
from tests.stack.containerd_node import Release, Settings

KINDS = {
    "2.4": Settings(),
    "2.4, 4 unpacked at a time": Settings(unpacks=4),
    "1.7": Settings(release=Release.V1),
}
CLOSE = 0.01  # of the client's duration


async def sums(site: PullSite, directory: Path, pulls: int, rates: list[float], seed: int) -> list[dict[str, Any]]:
    """A row a pull: of each kind of containerd, rate and image as many, in random order."""
    rows: list[dict[str, Any]] = []
    repeats = -(-pulls // (len(KINDS) * len(rates) * len(site.images)))
    for number, (kind, settings) in enumerate(KINDS.items()):
        orders = [(rate, image) for rate in rates for image in site.images] * repeats
        Random(seed + number).shuffle(orders)
        async with site.traced(directory / f"kind-{number}", settings) as node:
            for rate, image in orders:
                site.rate(rate)
                rows.append({"containerd": kind, "rate": rate, **await _row(site, node, image)})
                print(f"  {len(rows)}: {kind}, {rate:g} Mbit/s, {rows[-1]['image']}", flush=True)
    return rows


async def _row(site: PullSite, node: TracedNode, image: str) -> dict[str, Any]:
    before = len(site.registry.served())
    traced = await node.pull(image)
    layers = {layer.layer_digest: layer.layer_bytes for layer in traced.layers}
    logged = {digest: size for digest, size in site.registry.served()[before:] if digest in layers}
    return {
        "image": image.rpartition("/")[2] if ":" in image.rpartition("/")[2] else image,
        "client": traced.pull.seconds,
        "wall": traced.stages.wall_seconds,
        "complete": traced.stages.complete,
        "bytes_equal": layers == logged,
        "stages": stage_seconds(traced),
    }


def stage_seconds(traced: TracedPull) -> dict[str, float]:
    """Those that are known."""
    found = {stage.value: getattr(traced.stages, f"{stage}_seconds") for stage in Stage}
    return {stage: seconds for stage, seconds in found.items() if seconds is not None}


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Medians a kind, rate and image; and in how many pulls all holds."""
    yield f"| containerd | Mbit/s | image | pulls | client, s | {' | '.join(Stage)} |"
    yield "|-|-|-|" + "--:|" * (2 + len(Stage))
    groups: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["containerd"], row["rate"], row["image"]), []).append(row)
    for (kind, rate, image), group in sorted(groups.items()):
        stages = [median(row["stages"].get(stage, 0.0) for row in group) for stage in Stage]
        seconds = " | ".join(f"{each:.3f}" for each in stages)
        client = median(row["client"] for row in group)
        yield f"| {kind} | {rate:g} | {image} | {len(group)} | {client:.3f} | {seconds} |"
    close = sum(row["stages"]["unattributed"] <= CLOSE * row["client"] for row in rows)
    yield f"{close} of {len(rows)} pulls: at most {CLOSE:.0%} of the client's duration is unattributed"
    yield f"{sum(row['bytes_equal'] for row in rows)} of {len(rows)}: each layer's bytes are the registry's log's"
    yield f"{sum(row['complete'] for row in rows)} of {len(rows)}: complete"
    worst = max(row["stages"]["unattributed"] / row["client"] for row in rows)
    outside = [(row["client"] - row["wall"]) * 1000 for row in rows]
    calls = (
        f"the client's call takes {median(outside):.0f} ms more than the runtime's own span, at most {max(outside):.0f}"
    )
    yield f"unattributed at most {worst:.2%} of a pull; {calls}"
