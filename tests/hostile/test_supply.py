"""What is installed is what was locked: a file that was changed, or that nobody locked, and a base without a digest."""

import ensurepip
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.hostile.conftest import Attack

pytestmark = pytest.mark.timeout(240)  # pip runs out of its wheel
ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}"
BASES = ["", "python", "python:3.11", "python:3.11@sha256", "python@sha256:abc", f"python@sha512:{'a' * 64}"]


def wheel(directory: Path, name: str, text: str = "", needs: str = "") -> str:
    """A package of one module; its SHA-256."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-1.0-py3-none-any.whl"
    information = f"{name}-1.0.dist-info"
    more = f"Requires-Dist: {needs}\n" if needs else ""
    with ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", text)
        archive.writestr(f"{information}/METADATA", METADATA.format(name=name, more=more))
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def install(directory: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """As the Containerfile does it, from the directory's files, by the pip that Python brings."""
    bundled = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"), None)
    if bundled is None:
        pytest.skip("this Python brings no pip of its own")
    (directory / "lock.txt").write_text(lock)
    words = ["install", "--require-hashes", "--no-index", "--find-links", str(directory / "files")]
    return subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", str(directory / "to"), "-r", str(directory / "lock.txt")],
        env={**os.environ, "PYTHONPATH": str(bundled), "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_was_locked_is_installed(tmp_path: Path) -> None:
    locked = wheel(tmp_path / "files", "good")
    done = install(tmp_path, f"good==1.0 --hash=sha256:{locked}\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "to" / "good.py").exists()


@pytest.mark.parametrize(
    ("what", "said"),
    [("changed", "DO NOT MATCH THE HASHES"), ("unlocked", "hashes are required"), ("needed", "all requirements must")],
)
def test_nothing_else_is(tmp_path: Path, what: str, said: str, attack: Attack) -> None:
    attack(f"supply: a package that is {what}" + (", but in no lock" if what == "needed" else ""), "--require-hashes")
    needs = "evil" if what == "needed" else ""
    wheel(tmp_path / "files", "evil", "raise SystemExit")
    locked = wheel(tmp_path / "files", "good", needs=needs)
    if what == "changed":
        wheel(tmp_path / "files", "good", "raise SystemExit")
    hashed = "" if what == "unlocked" else f" --hash=sha256:{locked}"
    done = install(tmp_path, f"good==1.0{hashed}\n")
    assert done.returncode != 0
    assert said.lower() in done.stderr.lower()
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("base", BASES)
def test_a_base_without_a_digest_is_not_built_on(base: str, attack: Attack) -> None:
    attack(f"supply: the base image {base!r}", "the build's first step stops")
    (check,) = re.findall(r"^RUN (case .*)$", CONTAINERFILE.read_text().replace("\\\n", " "), re.MULTILINE)
    done = subprocess.run(["sh", "-c", check], env={"PYTHON": base}, capture_output=True, check=False, timeout=20)
    assert done.returncode == 1
