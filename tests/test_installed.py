"""The wheel holds what it should, its core works without the extras, and no file of a user's hides its modules."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.installed import LONGEST_SECONDS, PROJECT, ROOT, run, write_core_only

# Commands are processes: on a machine that others load, each can take a minute.
pytestmark = pytest.mark.timeout(300)

PACKAGES = ("pullstudy", "collector", "driver", "dashboards")
DATA_FILES = {
    "pullstudy/analysis/report/page.css",
    "pullstudy/analysis/report/page.js",
    "driver/providers/eks/prices.toml",
    "driver/providers/eks/eks-network.yaml",
    "driver/providers/kubeconfig/clear_images.sh",
}
FORMER_NAMES = ("store.py", "bus.py", "pulls.py", "sim.py", "kube.py", "analysis/__init__.py")
STUDY = """
name = "tiny"
[images]
tags = ["9-layers-size-1176249324-bytes"]
[limits]
quiet_seconds = 0.3
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", directory]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LONGEST_SECONDS)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def package(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel installs."""
    directory = tmp_path_factory.mktemp("site-packages")
    ZipFile(wheel).extractall(directory)
    return directory


@pytest.fixture(scope="module")
def core_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("core-only")
    write_core_only(directory)
    return directory


def write_modules_that_raise(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"raise ImportError('the user has a file {name}')\n")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory where a user has files of the modules' former names, and of the package's."""
    write_modules_that_raise(tmp_path, *FORMER_NAMES, "pullstudy.py")
    return tmp_path


@pytest.fixture(scope="module")
def study(package: Path, core_only: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of a real log, imported by the core alone."""
    directory = tmp_path_factory.mktemp("imported")
    log = ROOT / "tests" / "data" / "pulling-aws" / "events-size-4.json.gz"
    words = ("pulldriver", "import", log, "--size", "4", "--run", "aws", "--out", "study")
    done = run(words, directory, core_only, package)
    assert done.returncode == 0, done.stderr
    return directory / "study"


def test_the_wheel_holds_the_four_packages_and_the_files_that_they_read(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    info = f"pullstudy-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, info}
    pages = {f"driver/docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.*")}
    kept = {name for name in names if name.startswith("driver/docs/") or not name.endswith(".py")}
    assert {name for name in kept if not name.startswith(info)} == DATA_FILES | pages
    assert f"{info}/licenses/LICENSE" in names


def test_the_core_alone_sweeps_exports_csv_and_compares(home: Path, package: Path, core_only: Path) -> None:
    (home / "study.toml").write_text(STUDY)
    swept = run(
        ("pulldriver", "sweep", "--study", "study.toml", "--sizes", "2", "--out", "o"), home, core_only, package
    )
    assert (swept.returncode, "2/2 accounted for" in swept.stdout + swept.stderr) == (0, True), swept.stderr
    exported = run(("pulldriver", "export", "pulls", "--out", "o", "--format", "csv"), home, core_only, package)
    assert (exported.returncode, exported.stderr) == (0, "")
    assert len(exported.stdout.splitlines()) == 1 + 2
    compared = run(("pulldriver", "compare", "o", "o"), home, core_only, package)
    assert compared.returncode == 0, compared.stderr
    told = run(("pulldriver", "report", "--out", "o", "--json", "--slo", "median < 1h"), home, core_only, package)
    assert told.returncode in (0, 3), told.stderr


def test_an_installed_package_has_its_pages_and_studies_with_it(home: Path, package: Path, core_only: Path) -> None:
    assert run(("pulldriver", "docs", "study"), home, core_only, package).stdout.startswith("# study.toml\n")
    assert run(("pulldriver", "init"), home, core_only, package).returncode == 0
    planned = [
        run(("pulldriver", "plan", "--sizes", "4", "--study", study), home, core_only, package).stdout
        for study in ("study.toml", "seed", "seed-38", "quick")
    ]
    assert [re.search(r"(\d+) jobs", text)[1] for text in planned] == ["32", "32", "38", "6"]  # type: ignore[index]


def test_a_report_is_written_beside_a_users_own_store_and_analysis(study: Path, home: Path, package: Path) -> None:
    done = run(("pulldriver", "report", "--out", study), home, package)
    assert (done.returncode, done.stderr) == (0, "")
    assert (study / "report.html").is_file()


@pytest.mark.parametrize(
    "command",
    [
        "pulldriver",
        "collector",
        "collector check",
        "collector sink",
        "collector archive",
        "collector migrate",
        "pulldriver sim",
    ],
)
def test_the_help_of_a_command_needs_no_extra_and_no_file_of_the_users(
    command: str, home: Path, package: Path, core_only: Path
) -> None:
    done = run((*command.split(), "--help"), home, core_only, package)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {command}" in done.stdout


def test_a_collector_that_reaches_no_cluster_says_so_without_any_extra(
    home: Path, package: Path, core_only: Path
) -> None:
    words = ("collector", "check", "--cluster", "lab", "--kubeconfig", "none.yaml")
    done = run(words, home, core_only, package)
    assert done.returncode in (1, 2)
    assert "none.yaml" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_notebook_beside_such_files_gets_the_pulls_as_a_frame(study: Path, package: Path, tmp_path: Path) -> None:
    write_modules_that_raise(tmp_path, *FORMER_NAMES)
    program = "import sys; from pathlib import Path; from pullstudy.analysis.frames import frame; "
    done = run(("python", "-c", f"{program}print(len(frame(Path({str(study)!r}))))"), tmp_path, package)
    assert (done.returncode, done.stderr, int(done.stdout) > 0) == (0, "", True)


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        ("pulldriver report --out {study}", "vl_convert", "report"),
        ("pulldriver export pulls --out {study} --format parquet --to pulls.parquet", "pyarrow", "parquet"),
        ("pulldriver dashboards build grafana", "grafanalib", "dashboards"),
        ("pulldriver export pulls --archive {study}", "duckdb", "archive"),
        ("pulldriver janitor", "boto3", "eks"),
        ("pulldriver sweep --provider eks --sizes 2 --out third --yes", "boto3", "eks"),
    ],
)
def test_a_command_whose_extra_is_missing_says_which_to_install(
    command: str, library: str, extra: str, study: Path, home: Path, package: Path, core_only: Path
) -> None:
    done = run(command.format(study=study).split(), home, core_only, package)
    line = f"pulldriver: {library} is not installed, and this needs it: pip install 'pullstudy[{extra}]'\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert not (home / "third").exists()


def test_each_library_that_is_asked_for_by_extra_is_in_that_extra() -> None:
    asked = {
        found
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for found in re.findall(r'\brequire\("([\w.]+)", "(\w+)"\)', path.read_text())
    }
    owners = packages_distributions()
    for module, extra in asked:
        named = {canonicalize_name(Requirement(line).name) for line in PROJECT["optional-dependencies"][extra]}
        assert named & {canonicalize_name(owner) for owner in owners[module.partition(".")[0]]}, (module, extra)
    assert {extra for _, extra in asked} <= set(PROJECT["optional-dependencies"])


def test_the_extra_all_has_every_extra_and_dev_has_all() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert Requirement(everything).extras == set(extras) - {"all", "dev"}
    assert "pullstudy[all]" in extras["dev"]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("CHANGELOG.md", r"^## (\d\S+) \(\d{4}-\d\d-\d\d\)$"),
        ("CITATION.cff", r"^version: (.*)$"),
        ("deploy/Containerfile", r" -t pullstudy:(\S+) "),
        ("docs/deploy.md", r"/pullstudy:(\S+) "),
        ("docs/deploy.md", r"\?ref=v(\S+)"),
        ("docs/deploy.md", r"newTag: (\S+)"),
        ("deploy/compose.yaml", r"image: pullstudy:(\S+)"),
        ("deploy/kustomize/base/kustomization.yaml", r"newTag: (\S+)"),
        ("deploy/kustomize/production/kustomization.yaml", r"newTag: (\S+)"),
    ],
)
def test_the_version_is_the_same_wherever_it_is_told(path: str, pattern: str) -> None:
    (version, *_) = re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)  # the first: the changelog has more
    assert version == PROJECT["version"]


def test_without_the_extra_reading_an_influxdb_is_one_line_that_says_what_to_install(
    home: Path, package: Path, core_only: Path
) -> None:
    words = ("pulldriver", "export", "pulls", "--influx", "http://127.0.0.1:1", "--run", "r", "--format", "csv")
    variables = {"INFLUXDB_V2_TOKEN": "t", "INFLUXDB_V2_ORG": "o"}
    done = run(words, home, core_only, package, environment=variables)
    line = "pulldriver: influxdb_client is not installed, and this needs it: pip install 'pullstudy[influx]'\n"
    assert (done.returncode, done.stderr) == (2, line)
