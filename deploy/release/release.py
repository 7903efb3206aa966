"""Makes a release, with one command: checks, builds, and uploads what it built.

``python deploy/release/release.py --dry-run`` does all but the upload, and says what would be run. What is built lies
in dist/: wheel, source archive, the image's build context, the Helm chart, the list of what the image holds
(CycloneDX), and SHA256SUMS. All of it comes from the commit, whatever else lies in the checkout. It needs the extra
dev and helm; an upload also uv, podman or docker, and logins to the places that are named. Exit codes: 0; 1:
something failed; 2: wrong use.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
# Where the version is said besides pyproject.toml: each match of the pattern is it.
SAID = {
    "CITATION.cff": r"^version: (\S+)$",
    "deploy/helm/pullstudy/Chart.yaml": r"^(?:version|appVersion): (\S+)$",
    "deploy/kustomize/base/kustomization.yaml": r"newTag: (\S+)$",
    "deploy/kustomize/production/kustomization.yaml": r"newTag: (\S+)$",
    "deploy/compose.yaml": r"image: pullstudy:(\S+)$",
    "deploy/Containerfile": r"pullstudy:(\d\S*)",
    "docs/deploy.md": r"(?:pullstudy:|newTag: |ref=v|pullstudy-)(\d+\.\d+\.\d+)",
}
BASE = re.compile(r"\S+@sha256:[0-9a-f]{64}")


class ReleaseError(Exception):
    """Why there is no release: what, where, what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a release goes."""

    image: str
    """Without a tag: REGISTRY/pullstudy."""
    charts: str
    """oci://REGISTRY/charts."""
    base: str
    """The image's base, by its digest."""


def run(*words: str | Path, within: Path = ROOT, **environment: str) -> str:
    """What a command prints. Raises ReleaseError with the end of its complaint."""
    command = [str(word) for word in words]
    try:
        done = subprocess.run(
            command, cwd=within, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise ReleaseError(f"{command[0]} is not there: install it, or name it (--help)") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise ReleaseError(f"{shlex.join(command)} failed with {done.returncode}: {said}")
    return done.stdout


# Checks


def project_version(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def other_versions(root: Path) -> Iterator[str]:
    """A line for each place that says another version than pyproject.toml, or none."""
    version = project_version(root)
    for name, pattern in SAID.items():
        found = set(re.findall(pattern, (root / name).read_text(), re.MULTILINE))
        if found != {version}:
            yield f"{name} says {', '.join(sorted(found)) or 'no version'}, pyproject.toml {version}: make them one"


def unready(root: Path) -> Iterator[str]:
    """A line for each reason against an upload that is none against a rehearsal."""
    version = project_version(root)
    changes = (root / "CHANGELOG.md").read_text()
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changes, re.MULTILINE):
        yield f"CHANGELOG.md has no '## {version} (YYYY-MM-DD)': name the open part so"
    if re.search(r"^## Unreleased\n+- ", changes, re.MULTILINE):
        yield "CHANGELOG.md has lines under Unreleased: put them under the version"
    if run("git", "status", "--porcelain", within=root).strip():
        yield "the checkout has changes that are not in the commit: commit them, or put them aside"
    if run("git", "tag", "--list", f"v{version}", within=root).strip():
        yield f"the tag v{version} is there already: raise the version"


# What is built


def export(root: Path, into: Path) -> None:
    """The commit's files."""
    archive = into.with_suffix(".tar")
    run("git", "archive", "--output", archive, "HEAD", within=root)
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")
    archive.unlink()


def build_package(source: Path, dist: Path) -> None:
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "sdist",
        "--target",
        "wheel",
        "--directory",
        dist,
        within=source,
    )


def build_context(root: Path, dist: Path) -> Path:
    """What the Containerfile copies, and itself: `podman build` makes the image of it."""
    lines = (root / "deploy" / "Containerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    archive = dist / f"pullstudy-{project_version(root)}-image-context.tar.gz"
    run("git", "archive", "--format=tar.gz", "--output", archive, "HEAD", "deploy/Containerfile", *copied, within=root)
    return archive


def build_chart(helm: str, source: Path, dist: Path) -> None:
    run(helm, "lint", "--strict", source / "deploy" / "helm" / "pullstudy")
    run(helm, "package", source / "deploy" / "helm" / "pullstudy", "--destination", dist)


def list_contents(source: Path, dist: Path, work: Path) -> None:
    """Of an environment that is installed as the image's is."""
    version = project_version(source)
    venv.create(work / "image", with_pip=True)
    python = work / "image" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", source / "deploy" / "locks" / "image.txt")
    run(*pip, "--no-deps", "--no-index", dist / f"pullstudy-{version}-py3-none-any.whl")
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip", "setuptools")
    program = Path(sys.executable).with_name("cyclonedx-py")
    told = run(source / "deploy" / "sbom", python, within=source, CYCLONEDX=str(program))
    (dist / f"pullstudy-{version}.cdx.json").write_text(told)


def versions_built(dist: Path, version: str) -> dict[str, str]:
    """By file, the version that stands in it. Raises ReleaseError where one is missing."""
    names = {
        "wheel": f"pullstudy-{version}-py3-none-any.whl",
        "source": f"pullstudy-{version}.tar.gz",
        "chart": f"pullstudy-{version}.tgz",
        "list": f"pullstudy-{version}.cdx.json",
    }
    missing = [name for name in names.values() if not (dist / name).exists()]
    if missing:
        raise ReleaseError(f"{dist} has no {', '.join(missing)}: the versions differ")
    with ZipFile(dist / names["wheel"]) as wheel:
        metadata = message_from_bytes(wheel.read(f"pullstudy-{version}.dist-info/METADATA"))
    chart = re.search(r"^version: (\S+)$", member(dist / names["chart"], "pullstudy/Chart.yaml"), re.MULTILINE)
    package = message_from_bytes(member(dist / names["source"], f"pullstudy-{version}/PKG-INFO").encode())
    listed = json.loads((dist / names["list"]).read_text())["metadata"]["component"]["version"]
    found = (metadata["Version"], package["Version"], chart[1] if chart else "none", listed)
    return dict(zip(names.values(), found, strict=True))


def member(archive: Path, name: str) -> str:
    with tarfile.open(archive) as opened:
        file = opened.extractfile(name)
        assert file is not None
        return file.read().decode()


def write_sums(dist: Path) -> None:
    files = sorted(path for path in dist.iterdir() if path.name != "SHA256SUMS")
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (dist / "SHA256SUMS").write_text("".join(lines))


def build(root: Path, dist: Path, helm: str) -> None:
    """All of it. Raises ReleaseError."""
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    version = project_version(root)
    # So that the same commit makes the same bytes.
    os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct", within=root).strip()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        source = work / "source"
        export(root, source)
        build_package(source, dist)
        build_chart(helm, source, dist)
        build_context(root, dist)
        list_contents(source, dist, work)
    wrong = {name: found for name, found in versions_built(dist, version).items() if found != version}
    if wrong:
        raise ReleaseError(f"in what was built the versions differ from {version}: {wrong}")
    write_sums(dist)


# The upload


def upload_commands(dist: Path, version: str, places: Places, engine: str, helm: str) -> list[list[str]]:
    """In the order in which what cannot be taken back comes last."""
    tag = f"{places.image}:{version}"
    context = shlex.quote(str(dist / f"pullstudy-{version}-image-context.tar.gz"))
    arguments = shlex.join(["--build-arg", f"PYTHON={places.base}", "--tag", tag])
    unpack = f'at=$(mktemp -d) && tar -xzf {context} -C "$at"'
    return [
        ["sh", "-c", f'{unpack} && {engine} build {arguments} -f "$at/deploy/Containerfile" "$at"'],
        [engine, "push", tag],
        [helm, "push", str(dist / f"pullstudy-{version}.tgz"), places.charts],
        ["uv", "publish", *(str(dist / f"pullstudy-{version}{end}") for end in ("-py3-none-any.whl", ".tar.gz"))],
        ["git", "tag", f"v{version}"],
        ["git", "push", "origin", f"v{version}"],
    ]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="release", description="make a release: check, build, upload")
    parser.add_argument("--dry-run", action="store_true", help="all but the upload, whose commands are printed")
    parser.add_argument("--image", default="REGISTRY/pullstudy", help="where the image goes, without a tag")
    parser.add_argument("--charts", default="oci://REGISTRY/charts", help="where the chart goes")
    parser.add_argument("--base", default="NAME@sha256:...", help="the image's base, by its digest: docs/deploy.md")
    parser.add_argument("--engine", default="podman", help="podman or docker (podman)")
    parser.add_argument("--helm", default="helm", help="the program of that name (helm)")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="emptied, then filled (dist)")
    given = parser.parse_args(arguments)
    if not given.dry_run and ("REGISTRY" in given.image + given.charts or not BASE.fullmatch(given.base)):
        parser.error("an upload needs --image, --charts and --base NAME@sha256:...; or --dry-run")
    return given


def release(given: argparse.Namespace, root: Path = ROOT) -> None:
    """Raises ReleaseError."""
    version = project_version(root)
    differing = list(other_versions(root))
    if differing:
        raise ReleaseError("; ".join(differing))
    against = list(unready(root))
    for line in against:
        sys.stderr.write(f"release: {line}\n")
    if against and not given.dry_run:
        raise ReleaseError("nothing was built or uploaded, for the reasons above")
    build(root, given.dist, given.helm)
    for path in sorted(given.dist.iterdir()):
        sys.stdout.write(f"{path.stat().st_size:>10,}  {path.name}\n")
    places = Places(given.image, given.charts, given.base)
    for command in upload_commands(given.dist, version, places, given.engine, given.helm):
        sys.stdout.write(f"{'would run' if given.dry_run else 'runs'}: {shlex.join(command)}\n")
        if not given.dry_run:
            run(*command, within=root)


def main(arguments: list[str]) -> int:
    given = parse(arguments)
    try:
        release(given)
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
