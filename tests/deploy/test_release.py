"""deploy/release makes one version of everything, from the commit, and uploads nothing in a rehearsal."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.stack.home import StackHome

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "deploy" / "release" / "release.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["release"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


release = load()


def copied(into: Path) -> Path:
    """The files that say a version, and the changelog."""
    for name in ("pyproject.toml", "CHANGELOG.md", *release.SAID):
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, into / name)
    return into


def git(root: Path, *words: str) -> None:
    as_somebody = ["-c", "user.name=n", "-c", "user.email=e@example.invalid"]
    subprocess.run(["git", *as_somebody, *words], cwd=root, check=True, capture_output=True, timeout=30)


def committed(root: Path) -> Path:
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "all")
    return root


def test_the_version_is_one_wherever_it_is_said() -> None:
    assert list(release.other_versions(ROOT)) == []


@pytest.mark.parametrize("name", release.SAID)
def test_a_place_that_says_another_version_is_named(tmp_path: Path, name: str) -> None:
    root = copied(tmp_path)
    version = release.project_version(root)
    (root / name).write_text((root / name).read_text().replace(version, "9.9.9", 1))
    (line,) = release.other_versions(root)
    assert line.startswith(f"{name} says ")
    assert "9.9.9" in line


def test_a_version_without_its_part_of_the_changelog_is_not_uploaded(tmp_path: Path) -> None:
    root = copied(tmp_path)
    version = release.project_version(root)
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n- A line.\n\n## {version}\n")
    assert [line.partition(":")[0] for line in release.unready(committed(root))] == [
        f"CHANGELOG.md has no '## {version} (YYYY-MM-DD)'",
        "CHANGELOG.md has lines under Unreleased",
    ]


def test_a_commit_that_is_clean_named_and_not_tagged_is_ready_once(tmp_path: Path) -> None:
    root = copied(tmp_path)
    version = release.project_version(root)
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n## {version} (2026-11-28)\n\n- A line.\n")
    assert list(release.unready(committed(root))) == []
    (root / "left.txt").touch()
    assert [line[:26] for line in release.unready(root)] == ["the checkout has changes t"]
    (root / "left.txt").unlink()
    git(root, "tag", f"v{version}")
    assert list(release.unready(root)) == [f"the tag v{version} is there already: raise the version"]


def test_an_upload_without_places_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    for given in ([], ["--image", "r.example/p", "--charts", "oci://r.example/c", "--base", "python:3.11"]):
        with pytest.raises(SystemExit) as wrong:
            release.parse(given)
        assert wrong.value.code == 2
        assert "--base NAME@sha256:..." in capsys.readouterr().err


def test_what_cannot_be_taken_back_comes_last() -> None:
    places = release.Places("r.example/pullstudy", "oci://r.example/charts", f"python@sha256:{'a' * 64}")
    commands = release.upload_commands(Path("dist"), "1.2.3", places, "podman", "helm")
    assert [command[:2] for command in commands[1:]] == [
        ["podman", "push"],
        ["helm", "push"],
        ["uv", "publish"],
        ["git", "tag"],
        ["git", "push"],
    ]
    built = f"podman build --build-arg PYTHON={places.base} --tag r.example/pullstudy:1.2.3 -f"
    assert built in commands[0][2]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(release.ReleaseError, match="no-helm is not there: install it, or name it"):
        release.run("no-helm", within=tmp_path)
    with pytest.raises(release.ReleaseError, match="git log failed with 128: fatal: not a git repository"):
        release.run("git", "log", within=tmp_path)


@pytest.mark.real  # it asks the package registry for what the image holds, and needs helm
def test_a_rehearsal_builds_all_of_a_release_and_uploads_nothing(stack_home: StackHome, tmp_path: Path) -> None:
    words = ["--dry-run", "--helm", stack_home.program("helm"), "--dist", tmp_path / "dist"]
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, check=False, timeout=500, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    version = release.project_version(ROOT)
    dist = tmp_path / "dist"
    ends = ("-image-context.tar.gz", "-py3-none-any.whl", ".cdx.json", ".tar.gz", ".tgz")
    assert {path.name for path in dist.iterdir()} == {"SHA256SUMS", *(f"pullstudy-{version}{end}" for end in ends)}
    for line in (dist / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    assert set(release.versions_built(dist, version).values()) == {version}
    with tarfile.open(dist / f"pullstudy-{version}-image-context.tar.gz") as context:
        assert {"deploy/Containerfile", "deploy/locks/image.txt", "pyproject.toml"} <= set(context.getnames())
    listed = {each["name"] for each in json.loads((dist / f"pullstudy-{version}.cdx.json").read_text())["components"]}
    assert {"aiohttp", "influxdb-client"} <= listed
    assert not listed & {"pandas", "pytest", "pip"}
    assert [line for line in done.stdout.splitlines() if line.startswith("runs:")] == []
    assert done.stdout.count("would run: ") == 6
