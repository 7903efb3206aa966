"""The Containerfile: linted, and its steps rehearsed without a container engine, in its places and as its user."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
USER = "65532"
PACKAGES = sysconfig.get_path("purelib")


def instructions(name: str) -> list[list[str]]:
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith(f"{name} ")]


def test_hadolint_has_nothing_against_it() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), CONTAINERFILE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def copied(context: Path) -> None:
    """What the COPY lines bring from the repository, and nothing else."""
    for *sources, target in (words for words in instructions("COPY") if not words[0].startswith("--")):
        for source in sources:
            place = context / target / Path(source).name if target.endswith("/") else context / target
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)


@pytest.mark.real  # it asks the package registry for the build's own tools
def test_the_wheel_is_built_of_what_is_copied_and_runs_with_a_read_only_root(tmp_path: Path) -> None:
    context, installed = tmp_path / "src", tmp_path / "opt"
    context.mkdir()
    copied(context)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", context], check=True, timeout=200)
    (wheel,) = (tmp_path / "dist").iterdir()
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-compile", "--target", installed, wheel], check=True, timeout=200
    )
    assert (installed / "driver" / "providers" / "eks" / "eks-network.yaml").exists()

    (entry,) = instructions("ENTRYPOINT")
    (words,) = instructions("CMD")
    assert (entry, words) == (["[collector]"], ["[--help]"])
    done = as_in_the_container(installed, tmp_path, "collector", "--help")
    assert "Usage: collector" in done.stdout, done.stderr
    refused = as_in_the_container(installed, tmp_path, "collector", "--cluster", "c", "--kubeconfig", "/none")
    assert refused.returncode in (1, 2)
    assert "Traceback" not in refused.stderr
    assert "/none" in refused.stderr


def as_in_the_container(installed: Path, directory: Path, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """By the image's user, who can write nowhere; the dependencies are this Python's own."""
    if os.geteuid() != 0:
        pytest.skip("only root can run it as another user with a read-only root")
    program = f"import sys; sys.argv[0] = {name!r}; from collector.cli import main; main()"
    seen = directory
    while seen != Path("/"):  # pytest's directories are their owner's alone
        seen.chmod(seen.stat().st_mode | 0o011)
        seen = seen.parent
    inside = [
        "setpriv",
        f"--reuid={USER}",
        f"--regid={USER}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]
    # The packages are seen at a place of their own: a clone in root's home is nobody else's to read.
    ready = """mount --bind / /mnt && mount -o remount,ro,bind /mnt && mount --bind "$1" /mnt/srv && shift
               exec chroot /mnt "$@\""""
    python = os.path.realpath(sys.executable)
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", ready, "sh", PACKAGES, *inside, python, "-P", "-c", program, *words],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{installed}:/srv",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
