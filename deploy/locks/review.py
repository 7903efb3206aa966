"""What changed between two locks, for whoever reviews a change of them.

``pip download --require-hashes --no-deps -r NEW -d WHEELS``, then
``python deploy/locks/review.py --before OLD --wheels WHEELS NEW``: packages that are new, with the licences that their
wheels tell, that went, or changed their version; and what the registry has withdrawn, which it is asked through pip.
Exit codes: 0; 1: a version of NEW is withdrawn; 2: wrong use. Known vulnerabilities are not looked up: pip-audit asks
hosts beyond the registry. Run it where they are reached.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from zipfile import ZipFile

Versions = Mapping[str, str]


def read_versions(text: str) -> dict[str, str]:
    """By package. One that stands there for several platforms is told with all of its versions."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(name.lower(), []).append(version)
    return {name: " ".join(versions) for name, versions in found.items()}


def say_changes(before: Versions, after: Versions, licences: Versions) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"new      {name} {after[name]}: {licences.get(name, 'for other platforms than this')}"
        elif name not in after:
            yield f"gone     {name} {before[name]}"
        elif before[name] != after[name]:
            yield f"changed  {name} {before[name]} -> {after[name]}"


def ask_registry(lock: Path) -> list[dict[str, Any]]:
    """What pip would install of a lock here, hashes and all. Raises CalledProcessError."""
    words = ["install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--require-hashes"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--report", "-", "-r", lock], check=True, stdout=subprocess.PIPE
    )
    installs: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return installs


def read_licences(wheels: Path) -> dict[str, str]:
    """By package, of the wheels in a directory."""
    licences = {}
    for wheel in wheels.glob("*.whl"):
        with ZipFile(wheel) as opened:
            (name,) = [each for each in opened.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each)]
            metadata = message_from_bytes(opened.read(name))
        licences[re.sub(r"[-_.]+", "-", metadata["Name"]).lower()] = licence_of(metadata)
    return licences


def licence_of(metadata: Message) -> str:
    """As its maker says it: an expression, classifiers, or the first line of a text."""
    classified = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License")]
    told = metadata["License-Expression"] or ", ".join(classified) or (metadata["License"] or "").strip()
    return told.splitlines()[0][:80] if told else "NO LICENCE TOLD"


def withdrawn(installs: list[dict[str, Any]]) -> list[str]:
    return [
        f"{each['metadata']['name']} {each['metadata']['version']}" for each in installs if each.get("is_yanked", False)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="what changed between two locks")
    parser.add_argument("--before", type=Path, required=True, help="the lock as it was; an empty file: none was")
    parser.add_argument("--wheels", type=Path, required=True, help="the directory with the lock's wheels")
    parser.add_argument("lock", type=Path)
    given = parser.parse_args()
    before, after = read_versions(given.before.read_text()), read_versions(given.lock.read_text())
    installs = ask_registry(given.lock)
    for line in say_changes(before, after, read_licences(given.wheels)):
        sys.stdout.write(f"{line}\n")
    gone = withdrawn(installs)
    for named in gone:
        sys.stderr.write(f"review: {named} is withdrawn from the registry: lock another version\n")
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
