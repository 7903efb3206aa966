"""Imports of files made to harm, in full size: memory, time, words. ``python -m bench.hostile_import [NAME...]``.

Each runs as a process of its own. To have the kernel hold the limit, start it in a cgroup of 256 MiB.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.hostile.logs import MIB, Ended, bad_lines, events, gzip_of, one_list, piped, pretty_list, run_import


def _piped(parts: Callable[[], object]) -> Callable[[Path], Ended]:
    def run(directory: Path) -> Ended:
        with piped(directory / "pipe", parts) as pipe:  # type: ignore[arg-type]
            return run_import(directory, str(pipe))

    return run


def _zeros(directory: Path) -> Ended:
    with Path("/dev/zero").open("rb") as zero:
        return run_import(directory, "-", stdin=zero)


def _bomb(directory: Path) -> Ended:
    return run_import(directory, str(gzip_of(directory / "bomb.gz", bytes(16 * MIB), 64)))


def _plain(directory: Path) -> Ended:
    """A log of some 2 GB, written to a file."""
    log = directory / "log"
    with log.open("wb") as file:
        file.writelines(events(2_000_000))
    return run_import(directory, str(log))


ATTACKS: dict[str, Callable[[Path], Ended]] = {
    "gzip bomb of 1 GiB": _bomb,
    "/dev/zero": _zeros,
    "2,000,000 bad lines, 1.5 GiB": _piped(lambda: bad_lines(2_000_000, 800)),
    "a line of 1 GiB": _piped(lambda: [*[b"x" * MIB] * 1024, b"\n"]),
    "a list of 400,000 events on one line": _piped(lambda: one_list(400_000)),
    "the same, pretty": _piped(lambda: pretty_list(400_000)),
    "a log of 2,000,000 events": _plain,
}


def main(names: list[str]) -> None:
    for name in names or ATTACKS:
        with tempfile.TemporaryDirectory() as directory:
            ended = ATTACKS[name](Path(directory))
        said = (ended.err or ended.out).strip().split("\n")[-1]
        print(f"{name}: exit {ended.code}, {ended.peak_mib:.0f} MiB, {ended.seconds:.0f} s: {said[-120:]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
