"""The package as a user has it: its wheel, unpacked where no checkout is, with all extras' libraries or without."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

LONGEST_SECONDS = 170  # of one command, on a machine that others load

# Read by Python at its start, children too: what is not of the core is as if it were not installed.
_WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def core() -> frozenset[str]:
    """The distributions that a plain install brings, by their canonical names."""
    return frozenset({"pullstudy", *_closure(map(Requirement, PROJECT["dependencies"]))})


def _closure(requirements: Iterable[Requirement]) -> Iterator[str]:
    waiting, seen = list(requirements), set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            yield key[0]
            waiting += _needed_by(requirement)


def _needed_by(requirement: Requirement) -> Iterator[Requirement]:
    try:
        lines = requires(requirement.name) or []
    except PackageNotFoundError:  # for another system or Python
        return
    for each in map(Requirement, lines):
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
            yield each


def write_core_only(directory: Path) -> None:
    """Into a directory for PYTHONPATH: what makes every library but the core's missing."""
    allowed = core()
    names = {
        module
        for module, owners in packages_distributions().items()
        if not allowed & {canonicalize_name(owner) for owner in owners}
    }
    (directory / "sitecustomize.py").write_text(_WITHOUT.format(names=sorted(names)))


def run(
    words: Iterable[str | Path], directory: Path, *paths: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A command of this environment's, in a directory, with ``paths`` as PYTHONPATH."""
    name, *rest = map(str, words)
    return subprocess.run(
        [str(Path(sys.executable).with_name(name)), *rest],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
