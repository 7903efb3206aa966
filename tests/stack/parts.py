"""What the stack is made of: each part's version, what it needs to be built, what it leaves in the cache.

A part is built into an empty directory and moved into the cache only when it is whole; how long each takes was measured
on two cores with nothing cached.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack.error import StackError

RECIPES = Path(__file__).parent / "recipes"

Run = Callable[[list[str], Path, dict[str, str]], None]
"""Runs one command in a directory with these additions to the environment; raises StackError if it fails."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to build, under one name."""

    name: str
    version: str
    provides: tuple[str, ...]
    """Paths below the cache; a part's build leaves the same paths below its own directory."""
    build: Callable[["Part", Path, Run], None]
    minutes: float
    """Measured with nothing cached."""
    toolchain: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    """System program -> the Debian package that brings it."""

    @property
    def recipe(self) -> Path:
        """Where the part's module files lie, if it has some."""
        return RECIPES / self.name

    def stamp(self) -> str:
        """What the cached part must have been built from: its version and the bytes of its recipe."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.recipe.rglob("*") if path.is_file()):
            digest.update(path.relative_to(self.recipe).as_posix().encode() + b"\0" + path.read_bytes())
        return f"{self.name} {self.version} {digest.hexdigest()[:16]}\n"


def _source(part: Part, into: Path) -> Path:
    """A copy of the recipe: go may complete go.mod and go.sum while it builds, and the clone stays as it is."""
    return Path(shutil.copytree(part.recipe, into / "source"))


def _build_kafka(part: Part, into: Path, run: Run) -> None:
    pom = str(part.recipe / "pom.xml")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into / 'kafka' / 'lib'}", "-DincludeScope=runtime"]
    run(["mvn", "-q", "-B", "-f", pom, *goal], into, {})


def _build_kube(part: Part, into: Path, run: Run) -> None:
    major, minor, _ = part.version.split(".")
    package = "k8s.io/component-base/version"
    values = {"gitVersion": f"v{part.version}", "gitMajor": major, "gitMinor": minor}
    flags = "-s -w " + " ".join(f"-X {package}.{name}={value}" for name, value in values.items())
    commands = [f"k8s.io/kubernetes/cmd/{Path(path).name}" for path in part.provides]
    run(["go", "build", "-mod=mod", "-o", f"{into / 'bin'}/", "-ldflags", flags, *commands], _source(part, into), {})


def _build_influx(part: Part, into: Path, run: Run) -> None:
    source = _source(part, into)
    pkg_config = into / "tools" / "pkg-config"
    run(["go", "build", "-mod=mod", "-o", str(pkg_config), "github.com/influxdata/pkg-config"], source, {})
    cargo = {
        "PKG_CONFIG": str(pkg_config),
        "REAL_CARGO": shutil.which("cargo") or "cargo",
        "CARGO": str(source / "cargo-wrapper"),
        # Without it rustup would fetch the old toolchain that flux names, and no registry here has toolchains.
        "RUSTUP_TOOLCHAIN": os.environ.get("RUSTUP_TOOLCHAIN", "stable"),
    }
    tags = "sqlite_foreign_keys,sqlite_json,noasm"
    command = ["go", "build", "-mod=mod", "-tags", tags, "-o", f"{into / 'bin'}/"]
    run([*command, "github.com/influxdata/influxdb/v2/cmd/influxd"], source, cargo)


def _build_kwok(part: Part, into: Path, run: Run) -> None:
    run(["go", "install", f"sigs.k8s.io/kwok/cmd/kwok@v{part.version}"], into, {"GOBIN": str(into / "bin")})


def _build_helm(part: Part, into: Path, run: Run) -> None:
    # As helm's own Makefile does: without them it takes Kubernetes to be 1.20.
    major, minor, _ = PARTS["kube"].version.split(".")
    values = {"internal/version.version": f"v{part.version}"}
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        values |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    flags = "-s -w " + " ".join(f"-X helm.sh/helm/v3/{name}={value}" for name, value in values.items())
    install = ["go", "install", "-ldflags", flags, f"helm.sh/helm/v3/cmd/helm@v{part.version}"]
    run(install, into, {"GOBIN": str(into / "bin")})


def _build_node(part: Part, into: Path, run: Run) -> None:
    run(["go", "build", "-ldflags", "-s -w", "-o", str(into / "bin" / "pause"), "."], part.recipe, {"CGO_ENABLED": "0"})


def _build_containerd(part: Part, into: Path, run: Run) -> None:
    module = "github.com/containerd/containerd/v2"
    _build_in_module(module, part, into, run, tags="urfave_cli_no_docs", version=f"{module}/version.Version")


def _build_containerd_1(part: Part, into: Path, run: Run) -> None:
    module = "github.com/containerd/containerd"
    tags = "no_btrfs no_zfs no_devmapper no_aufs"
    _build_in_module(module, part, into, run, tags=tags, version=f"{module}/version.Version")


def _build_in_module(module: str, part: Part, into: Path, run: Run, *, tags: str, version: str) -> None:
    """The part's one program, by upstream's own go.mod and go.sum, in the module cache, where nothing is written."""
    target, flags = into / part.provides[0], f"-s -w -X {version}=v{part.version}"
    find = f"""$(go mod download -json {module}@v{part.version} | sed -n 's/.*"Dir": "\\(.*\\)".*/\\1/p')"""
    build = ["go", "build", "-mod=readonly", "-trimpath", "-tags", tags, "-ldflags", flags, "-o", str(target)]
    run(["sh", "-euc", f'cd "{find}" && exec "$@"', "sh", *build, "./cmd/containerd"], into, {})


def _build_prometheus(part: Part, into: Path, run: Run) -> None:
    # Without its discovery in a dozen clouds, whose clients take most of the building; scraping is static here.
    tags = "remove_all_sd,netgo"
    packages = [f"github.com/prometheus/prometheus/cmd/{Path(path).name}" for path in part.provides]
    command = ["go", "build", "-mod=mod", "-tags", tags, "-ldflags", "-s -w", "-o", f"{into / 'bin'}/", *packages]
    run(command, _source(part, into), {})


_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_SERVICE_MONITOR = "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"


def _build_lint(part: Part, into: Path, run: Run) -> None:
    source = _source(part, into)
    for name, package in (
        ("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),
        ("compose-spec", "github.com/compose-spec/compose-go/v2/cmd"),
    ):
        run(["go", "build", "-mod=mod", "-ldflags", "-s -w", "-o", str(into / "bin" / name), package], source, {})
    (into / "share").mkdir()
    # Of a module only its directory is needed: the definition of ServiceMonitor, to be applied to the API server.
    directory = f"""$(go mod download -json {_OPERATOR} | sed -n 's/.*"Dir": "\\(.*\\)".*/\\1/p')"""
    run(["sh", "-euc", f'cp "{directory}/{_SERVICE_MONITOR}" share/servicemonitors.yaml'], into, {})


PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part("kafka", "4.1.0", ("kafka/lib",), _build_kafka, 0.5, ("java", "mvn", "openssl")),
        Part(
            "kube",
            "1.34.4",
            ("bin/kube-apiserver", "bin/kube-controller-manager", "bin/kube-scheduler", "bin/kubelet", "bin/kubectl"),
            _build_kube,
            7,
            ("go", "openssl"),
            {"etcd": "etcd-server"},
        ),
        Part("influx", "2.7.12", ("bin/influxd",), _build_influx, 5, ("go", "cargo", "cc")),
        Part("prometheus", "3.13.5", ("bin/prometheus", "bin/promtool"), _build_prometheus, 6, ("go",)),
        Part(
            "lint", "1", ("bin/kube-score", "bin/compose-spec", "share/servicemonitors.yaml"), _build_lint, 1, ("go",)
        ),
        Part("helm", "3.19.5", ("bin/helm",), _build_helm, 4.5, ("go",)),  # of the same Kubernetes as the part kube
        Part("kwok", "0.7.0", ("bin/kwok",), _build_kwok, 1.5, ("go",)),
        Part(
            "node",
            "1",
            ("bin/pause",),
            _build_node,
            0.2,
            ("go",),
            {
                "containerd": "containerd",
                "runc": "runc",
                "/usr/lib/cni/bridge": "containernetworking-plugins",
                "docker-registry": "docker-registry",
                "skopeo": "skopeo",
                "umoci": "umoci",
                "htpasswd": "apache2-utils",
                "busybox": "busybox-static",
            },
        ),
        Part(
            "containerd",
            "2.4.2",
            ("bin/containerd-from-module",),
            _build_containerd,
            4,
            ("go",),
            {"ip": "iproute2", "tc": "iproute2"},
        ),
        Part("containerd-1", "1.7.35", ("bin/containerd-1-from-module",), _build_containerd_1, 5, ("go",)),
    )
}


def parts_named(names: list[str]) -> list[Part]:
    """The parts of these names, or all.

    Raises StackError at a name that is none.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise StackError(f"no part of the stack is called {', '.join(unknown)}; the parts: {' '.join(PARTS)}")
    return [PARTS[name] for name in names or PARTS]


def supported() -> None:
    """Raise StackError where the stack cannot run at all."""
    if sys.platform != "linux":
        raise StackError("the real servers need Linux; elsewhere use deploy/'s compose file")
