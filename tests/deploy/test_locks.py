"""What images and CI install is told by version and hash, and the base image by its digest."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "deploy" / "locks"
NAMES = ("build", "ci", "image", "janitor")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = {"image": ["influx"], "janitor": ["influx", "eks"], "ci": ["dev"]}


def review() -> Any:
    spec = importlib.util.spec_from_file_location("review", LOCKS / "review.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_a_version_and_hashes_for_each_package_and_names_no_host(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9._-]+(\[[a-z,_-]+\])?==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def wanted(extras: list[str]) -> list[Requirement]:
    """Of the package with these extras, and those that they name."""
    project = PROJECT["project"]
    found = [Requirement(line) for line in project["dependencies"]]
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            asked = Requirement(line)
            found += wanted(sorted(asked.extras)) if asked.name == "pullstudy" else [asked]
    return found


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_holds_all_that_the_package_asks_for(name: str) -> None:
    locked = review().read_versions((LOCKS / f"{name}.txt").read_text())
    for asked in wanted(EXTRAS[name]):
        versions = locked[canonicalize_name(asked.name)].split()
        assert any(asked.specifier.contains(version, prereleases=True) for version in versions), (asked, versions)


def test_the_image_is_not_built_from_a_base_without_a_digest() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    (check,) = re.findall(r"^RUN (case .*)$", text, re.MULTILINE)
    for base, code in (("", 1), ("python:3.11", 1), ("python@sha256:abc", 1), (f"python@sha256:{'a' * 64}", 0)):
        done = subprocess.run(
            ["sh", "-c", check], env={"PYTHON": base}, capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == code
        assert (f"PYTHON={base}: name the base image by its digest" in done.stderr) is bool(code)


def test_every_package_of_the_image_is_installed_with_its_hash() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]*)", text)
    assert len(installs) == 3
    assert all("--require-hashes" in words or "--no-index" in words for words in installs)


def test_a_review_tells_what_is_new_gone_changed_and_withdrawn() -> None:
    told = review()
    before = told.read_versions("a==1 \\\n    --hash=x\nb==1 ; sys_platform == 'win32' \\\n    --hash=x\nd[x]==1\n")
    after = told.read_versions("a==2 \\\n    --hash=x\nc==3 \\\n    --hash=x\nd[x]==1\n")
    assert list(told.say_changes(before, after, {"c": "MIT"})) == [
        "changed  a 1 -> 2",
        "gone     b 1",
        "new      c 3: MIT",
    ]
    installs = [
        {"metadata": {"name": "a", "version": "2"}, "is_yanked": True},
        {"metadata": {"name": "c", "version": "3"}},
    ]
    assert told.withdrawn(installs) == ["a 2"]


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT\nLicense: other", "MIT"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: Apache-2.0", "Apache-2.0"),
        ("Summary: none", "NO LICENCE TOLD"),
    ],
)
def test_a_review_reads_a_licence_wherever_a_wheel_tells_it(tmp_path: Path, metadata: str, licence: str) -> None:
    with ZipFile(tmp_path / "a_b-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("a_b-1.dist-info/METADATA", f"Metadata-Version: 2.4\nName: A_b\nVersion: 1\n{metadata}\n")
    assert review().read_licences(tmp_path) == {"a-b": licence}


@pytest.mark.real  # it asks the package registry
def test_a_review_asks_the_registry_for_licences(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.txt"
    nothing.touch()
    download = ["-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps", "-d", tmp_path]
    subprocess.run([sys.executable, *download, "-r", LOCKS / "build.txt"], check=True, timeout=300)
    words = [LOCKS / "review.py", "--before", nothing, "--wheels", tmp_path, LOCKS / "build.txt"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, timeout=300)
    assert re.search(r"^new      hatchling \S+: MIT$", done.stdout, re.MULTILINE)


def test_the_list_of_what_a_release_holds_has_each_package_of_its_environment(tmp_path: Path) -> None:
    venv.create(tmp_path / "small")
    packages = tmp_path / "small" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "held-1.5.dist-info"
    packages.mkdir(parents=True)
    packages.joinpath("METADATA").write_text(
        "Metadata-Version: 2.4\nName: held\nVersion: 1.5\nLicense-Expression: MIT\n"
    )
    done = subprocess.run(
        [ROOT / "deploy" / "sbom", tmp_path / "small" / "bin" / "python"],
        env={"CYCLONEDX": str(Path(sys.executable).with_name("cyclonedx-py")), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told = json.loads(done.stdout)
    (component,) = told["components"]
    assert told["bomFormat"] == "CycloneDX"
    assert (component["name"], component["version"]) == ("held", "1.5")
    assert component["licenses"][0]["license"]["id"] == "MIT"
    assert told["metadata"]["component"]["name"] == "pullstudy"
