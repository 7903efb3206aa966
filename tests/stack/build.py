"""Bring the real servers into the cache: ``python -m tests.stack.build [--within MINUTES] [kafka|kube|influx ...]``.

Each part is made once for a version; a build that was killed leaves nothing half, a second one waits for the first.
Programs that Debian has are installed by apt-get, where this runs as root.
"""

import argparse
import fcntl
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.stack.error import StackError
from tests.stack.home import StackHome, system_program
from tests.stack.parts import Part, parts_named, supported

PROGRESS_SECONDS = 30
LOG_LINES_SHOWN = 15

Say = Callable[[str], None]


def ensure(home: StackHome, parts: Sequence[Part], say: Say, *, within_minutes: float = math.inf) -> list[Part]:
    """Have these parts in the cache and their system packages installed; return those that were left out.

    Left out is what would take longer, with nothing cached, than is left of ``within_minutes``.
    Raises StackError with what is missing, or with the end of the failed command's output.
    """
    supported()
    if not _missing_packages(parts) and all(_is_built(home, part) for part in parts):
        return []
    until = time.monotonic() + within_minutes * 60
    home.root.mkdir(parents=True, exist_ok=True)
    with _only_builder(home, say):
        _install_packages(home, _missing_packages(parts), say)
        _sweep(home)
        left_out = []
        for part in parts:
            if _is_built(home, part):
                continue
            if time.monotonic() + part.minutes * 60 > until:
                left_out.append(part)
            else:
                _build(home, part, say)
    return left_out


def _is_built(home: StackHome, part: Part) -> bool:
    stamp = _stamp(home, part)
    same = stamp.exists() and stamp.read_text() == part.stamp()
    return same and all((home.root / path).exists() for path in part.provides)


def _stamp(home: StackHome, part: Part) -> Path:
    return home.root / "stamps" / part.name


@contextmanager
def _only_builder(home: StackHome, say: Say) -> Iterator[None]:
    """Hold the cache's lock: the kernel drops it with its holder, however that ends."""
    with (home.root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another build holds {home.root}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(home: StackHome) -> None:
    """Remove what killed builds left: nobody else builds while the lock is held."""
    for left in home.root.glob(".building-*"):
        shutil.rmtree(left)


def _missing_packages(parts: Iterable[Part]) -> dict[str, str]:
    wanted = {program: package for part in parts for program, package in part.packages.items()}
    return {program: package for program, package in wanted.items() if not _is_installed(program, package)}


def _is_installed(program: str, package: str) -> bool:
    try:
        system_program(program, package)
    except StackError:
        return False
    return True


def _install_packages(home: StackHome, missing: dict[str, str], say: Say) -> None:
    if not missing:
        return
    packages = sorted(set(missing.values()))
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StackError(f"missing: {', '.join(sorted(missing))}; as root on Debian 12: {command}")
    say(f"installing {' '.join(packages)}")
    run = _runner(home, "packages", say)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-qq", "update"], home.root, quiet)
    run(["apt-get", "-qq", "-y", "install", "--no-install-recommends", *packages], home.root, quiet)


def _build(home: StackHome, part: Part, say: Say) -> None:
    absent = [tool for tool in part.toolchain if shutil.which(tool) is None]
    if absent:
        raise StackError(f"{part.name} {part.version} cannot be built: {', '.join(absent)} not found on PATH")
    say(f"{part.name} {part.version}: building, about {part.minutes:g} min if nothing is cached")
    began = time.monotonic()
    building = home.root / f".building-{part.name}"
    building.mkdir()
    (building / "bin").mkdir()
    part.build(part, building, _runner(home, part.name, say))
    _move_in(home, part, building)
    shutil.rmtree(building)
    say(f"{part.name} {part.version}: built in {time.monotonic() - began:.0f} s")


def _move_in(home: StackHome, part: Part, building: Path) -> None:
    """Stamp away, whole part in, new stamp: a crash between them leaves no stamp on a half part."""
    stamp = _stamp(home, part)
    stamp.unlink(missing_ok=True)
    for path in part.provides:
        target = home.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            shutil.rmtree(target)
        (building / path).replace(target)
    stamp.parent.mkdir(exist_ok=True)
    fresh = building / "stamp"
    fresh.write_text(part.stamp())
    fresh.replace(stamp)


def _runner(home: StackHome, name: str, say: Say) -> Callable[[list[str], Path, dict[str, str]], None]:
    logs = home.root / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / f"{name}.log"
    log.write_bytes(b"")

    def run(command: list[str], directory: Path, more: dict[str, str]) -> None:
        with log.open("ab") as output:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "nice", "-n", "10", *command],
                cwd=directory,
                env={**os.environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            code = _wait(child, name, say)
        if code != 0:
            raise StackError(f"{name}: {Path(command[0]).name} failed with {code}; {log} ends with:\n{_end_of(log)}")

    return run


def _wait(child: subprocess.Popen[bytes], name: str, say: Say) -> int:
    began = time.monotonic()
    try:
        while True:
            try:
                return child.wait(timeout=PROGRESS_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"{name}: still at it after {time.monotonic() - began:.0f} s")
    except BaseException:
        child.terminate()
        child.wait()
        raise


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def main(arguments: list[str]) -> int:
    """The command line: 0 all is there, or as much as time allowed; 1 a build failed; 2 wrong use; 130 interrupted."""

    def say(line: str) -> None:
        sys.stderr.write(f"stack: {line}\n")

    home = StackHome.from_environment()
    parser = argparse.ArgumentParser(prog="python -m tests.stack.build")
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these; all without any")
    parser.add_argument(
        "--within", type=float, default=math.inf, metavar="MINUTES", help="begin nothing that is longer"
    )
    asked = parser.parse_args(arguments)
    try:
        parts = parts_named(asked.parts)
    except StackError as error:
        say(str(error))
        return 2
    try:
        left_out = ensure(home, parts, say, within_minutes=asked.within)
    except StackError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    for part in left_out:
        say(f"LEFT OUT: {part.name} {part.version}: no {part.minutes:g} of the {asked.within:g} min are left")
    say(f"{'NOT all' if left_out else 'all'} parts are in {home.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
