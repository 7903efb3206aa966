"""Logs made to harm whoever imports them, and an import run as a process whose memory is measured."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pulls.events import core_event

MIB = 1 << 20
_CODE = """
import sys
from driver.cli import run
code = run(sys.argv[2:])
status = open("/proc/self/status").read()  # of this program alone: getrusage() knows what forked it too
peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
open(sys.argv[1], "w").write(peak.split()[1])
sys.exit(code)
"""


@dataclass(frozen=True)
class Ended:
    """An import that is over."""

    code: int
    out: str
    err: str
    peak_mib: float
    seconds: float


def run_import(directory: Path, *words: str | bytes, stdin: Any = subprocess.DEVNULL, size: int | None = 4) -> Ended:
    """``pulldriver import`` into ``directory``/study, as a process of its own."""
    peak = directory / "peak"
    sized = [] if size is None else ["--size", str(size)]
    command = [sys.executable, "-c", _CODE, str(peak), "import", *words, *sized, "--out", str(directory / "study")]
    began = time.monotonic()
    ended = subprocess.run(command, stdin=stdin, capture_output=True, timeout=900, cwd=directory)
    out, err = ended.stdout.decode(), ended.stderr.decode()
    return Ended(ended.returncode, out, err, int(peak.read_text()) / 1024, time.monotonic() - began)


def event(uid: str, image: str = "ghcr.io/o/app:1", **changes: Any) -> bytes:
    """A pull's event on a line."""
    made = core_event("Pulled", f'Successfully pulled image "{image}" in 2s') | changes
    made["metadata"]["uid"] = uid
    return json.dumps(made).encode() + b"\n"


def events(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield event(f"uid-{number}")


def bad_lines(count: int, length: int = 750) -> Iterator[bytes]:
    """Lines that are no JSON; every other one looks as if it were."""
    tail = b"x" * (length - 16) + b"\n"
    for number in range(count):
        yield b"%s%010d " % (b'{"a":' if number % 2 else b"W1111", number) + tail


def one_list(count: int) -> Iterator[bytes]:
    """A list of events on one line, as the API server answers."""
    yield b'{"kind":"EventList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":['
    for number in range(count):
        yield (b"," if number else b"") + event(f"uid-{number}").strip()
    yield b"]}\n"


def pretty_list(count: int) -> Iterator[bytes]:
    """The same as kubectl prints it."""
    yield b'{\n    "apiVersion": "v1",\n    "items": [\n'
    for number in range(count):
        item = json.dumps(json.loads(event(f"uid-{number}")), indent=4).replace("\n", "\n        ")
        yield b"        " + item.encode() + (b"," if number < count - 1 else b"") + b"\n"
    yield b'    ],\n    "kind": "List",\n    "metadata": {\n        "resourceVersion": ""\n    }\n}\n'


def gzip_of(path: Path, part: bytes, times: int, end: bytes = b"") -> Path:
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(times):
            file.write(part)
        file.write(end)
    return path


@contextmanager
def piped(path: Path, parts: Callable[[], Iterable[bytes]]) -> Iterator[Path]:
    """A named pipe that somebody writes the parts to, until nobody reads any more."""
    os.mkfifo(path)

    def write() -> None:
        try:
            with path.open("wb", buffering=1 << 20) as file:
                file.writelines(parts())
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield path
    finally:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb"):  # one that nobody has opened yet can go on
            pass
        writer.join(30)
