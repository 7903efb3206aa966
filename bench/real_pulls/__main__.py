"""Real pulls, traced by the collector, held against what is known of them.

    python -m bench.real_pulls [sums] [truth] [cost] [--pulls 160] [--repeats 7] [--json FILE]

Needs root, veth and tbf (tests/stack/README.md). containerd of the stack pulls images of ``pulldriver images build`` in
a network of its own, from a registry on a slow link.

- sums: gzip and zstd, 9 and 125 layers, 2.4 with one and with four layers unpacked at a time and 1.7, at two rates: the
  stages beside what the CRI client saw, the layers' bytes beside the registry's log.
- truth: a slow link, a late registry, a late decompressor, little CPU, one at a time: how much each stage grows.
- cost: the runtime's CPU seconds with and without spans and its debug log, in turn; no link is in the way.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.real_pulls import cost, sums, truth
from tests.real.pull_site import pull_site
from tests.stack.build import ensure
from tests.stack.error import StackError
from tests.stack.home import StackHome
from tests.stack.parts import parts_named

PARTS = ["sums", "truth", "cost"]
RATES = [100.0, 500.0]
FAST = 10_000.0
SUMS = ["--layers", "9,125", "--bytes", "60MB", "--compression", "gzip:6,zstd:3"]
TRUTH = ["--layers", "1", "--bytes", "50MB", "--compression", "gzip:6", "--ratio", "1"]


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    home = StackHome.from_environment()
    ensure(home, parts_named(["node", "containerd", "containerd-1"]), print)
    found: dict[str, Any] = {"load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        orders = [SUMS] if {"sums", "cost"} & set(asked.parts) else []
        async with pull_site(home, directory / "site", *orders, TRUTH) as site:
            matrix = [image for image in site.images if ":1-layers" not in image]
            (single,) = set(site.images) - set(matrix)
            site.images[:] = matrix
            if "truth" in asked.parts:
                rows = await truth.truth(site, directory / "truth", single, asked.repeats, asked.seed, sys.executable)
                show(found, "truth", rows, truth.table(rows))
            if "sums" in asked.parts:
                rows = await sums.sums(site, directory, asked.pulls, RATES, asked.seed)
                show(found, "sums", rows, sums.table(rows))
            if "cost" in asked.parts:
                site.rate(FAST)
                gzip = [image for image in matrix if "gzip" in image]
                rows = await cost.cost(site, directory, gzip, asked.cost_repeats, asked.seed)
                show(found, "cost", rows, cost.table(rows))
    return found


def show(found: dict[str, Any], name: str, rows: list[Any], lines: Any) -> None:
    found[name] = rows
    print(f"\n{name} (load {os.getloadavg()[1]:.1f})", *lines, sep="\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=PARTS, default=PARTS, help="all without any")
    parser.add_argument("--pulls", type=int, default=160, help="of sums, at least (160)")
    parser.add_argument("--repeats", type=int, default=7, help="of each fault (7)")
    parser.add_argument("--cost-repeats", type=int, default=20, help="of each way and image (20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="every pull")
    asked = parser.parse_args()
    try:
        found = asyncio.run(measure(asked))
    except StackError as error:
        sys.exit(f"real_pulls: {error}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
