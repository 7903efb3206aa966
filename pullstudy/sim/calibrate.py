"""``python -m pullstudy.sim.calibrate DATA``: fit the model to real logs, and hold it against them, with errors."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import log, sqrt
from pathlib import Path
from statistics import fmean, median

from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.calibration.experiment import JobRun, run_study
from pullstudy.sim.calibration.fitting import minimise
from pullstudy.sim.calibration.real_logs import RealJob, Shape, read_log
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.parameters import EKS, GKE, MB, ModelParameters
from pullstudy.sim.model.pull_model import nominal_seconds

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"

# Wall seconds of the upstream sweep of 38 images on GKE, by nodes (docs/events.md).
UPSTREAM_WALL_SECONDS = {4: 1383.6, 8: 1392.8, 16: 1408.5, 32: 1426.8, 64: 1535.2, 128: 1941.0, 256: 2884.2}
UPSTREAM_JOBS = 38


@dataclass(frozen=True)
class LogSet:
    """A set of logs of one kind of cluster."""

    name: str
    directory: str
    sizes: tuple[int, ...]
    version: str
    parameters: ModelParameters

    def path(self, data: Path, size: int) -> Path:
        """Of the log of one size, packed with gzip where it lies so."""
        plain = data / self.directory / f"events-size-{size}.json"
        packed = plain.with_name(f"{plain.name}.gz")
        return packed if packed.exists() else plain


LOG_SETS = (
    LogSet("eks", "pulling-aws", (4, 8, 16), "1.27.16", EKS),
    LogSet("gke", "pulling-test-run3", (4, 8), "1.30.5", GKE),
)


def image_of(shape: Shape) -> str:
    return f"{REPOSITORY}:{shape[0]}-layers-size-{shape[1]}-bytes"


@dataclass(frozen=True)
class Row:
    """One image at one size: real and model, in seconds."""

    size: int
    shape: Shape
    real: RealJob
    model: JobRun

    @property
    def pull_error(self) -> float:
        return self.model.median_pull_seconds / self.real.median_pull_seconds - 1


def compare(logs: LogSet, data: Path, seed: int = 0) -> list[Row]:
    """Each image of each log against a simulated run of the same size."""
    rows = []
    for size in logs.sizes:
        real = read_log(logs.path(data, size))
        shapes = sorted(real)
        version = KubernetesVersion.parse(logs.version)
        settings = ClusterSettings("sim-calibrate", size, seed, version=version, parameters=logs.parameters)
        runs = run_study(settings, [image_of(shape) for shape in shapes])
        rows += [Row(size, shape, real[shape], run) for shape, run in zip(shapes, runs, strict=True)]
    return rows


def with_rates(parameters: ModelParameters, rates: list[float]) -> ModelParameters:
    """The parameters that are fitted on durations of pulls, in the order of ``rates_of``."""
    unpack, write, dirtyable, busy_commit, resolve, latency = rates
    volume = replace(
        parameters.volume,
        unpack_bytes_per_second=unpack,
        write_bytes_per_second=write,
        dirtyable_bytes=dirtyable,
        busy_commit_seconds=busy_commit,
    )
    registry = replace(parameters.registry, resolve_seconds=resolve, layer_latency_seconds=latency)
    return replace(parameters, volume=volume, registry=registry)


def rates_of(parameters: ModelParameters) -> list[float]:
    volume, registry = parameters.volume, parameters.registry
    return [
        volume.unpack_bytes_per_second,
        volume.write_bytes_per_second,
        volume.dirtyable_bytes,
        volume.busy_commit_seconds,
        registry.resolve_seconds,
        registry.layer_latency_seconds,
    ]


Observed = list[tuple[Shape, float]]  # of each job: its image, and the median of its pulls in seconds


def observed(logs: LogSet, data: Path) -> Observed:
    read = [read_log(logs.path(data, size)) for size in logs.sizes]
    return [(shape, job.median_pull_seconds) for log in read for shape, job in log.items()]


def fit(logs: LogSet, jobs: Observed) -> ModelParameters:
    """The rates with the least squared relative error of the median pull, over all images and sizes."""
    described = [(describe(image_of(shape)), seconds) for shape, seconds in jobs]

    def error(rates: list[float]) -> float:
        trial = with_rates(logs.parameters, rates)
        return sum((nominal_seconds(trial, image) / seconds - 1) ** 2 for image, seconds in described)

    return with_rates(logs.parameters, minimise(error, rates_of(logs.parameters)))


def held_out(logs: LogSet, jobs: Observed) -> list[float]:
    """Relative errors of median pulls of images that the fit has not seen: each image is left out of one."""
    errors = []
    for left in sorted({shape for shape, _ in jobs}):
        parameters = fit(logs, [job for job in jobs if job[0] != left])
        predicted = nominal_seconds(parameters, describe(image_of(left)))
        errors += [predicted / seconds - 1 for shape, seconds in jobs if shape == left]
    return errors


@dataclass(frozen=True)
class PullSpread:
    """Relative standard deviations of pulls of one image: from pull to pull in a job, and from job to job."""

    within: float
    between: float


def spread(jobs: list[Sequence[float]]) -> PullSpread | None:
    """By analysis of variance of the logarithms, one level (Searle, Casella, McCulloch 1992); None of one job."""
    logarithms = [[log(seconds) for seconds in job] for job in jobs if job]
    counts = [len(job) for job in logarithms]
    total = sum(counts)
    if len(counts) < 2 or total == len(counts):
        return None
    means, overall = [fmean(job) for job in logarithms], fmean(chain.from_iterable(logarithms))
    pulls = zip(logarithms, means, strict=True)
    within = sum((each - mean) ** 2 for job, mean in pulls for each in job) / (total - len(counts))
    jobs_square = sum(n * (mean - overall) ** 2 for n, mean in zip(counts, means, strict=True)) / (len(counts) - 1)
    weight = (total - sum(n * n for n in counts) / total) / (len(counts) - 1)
    return PullSpread(sqrt(within), sqrt(max(0.0, (jobs_square - within) / weight)))


def growth(parameters: ModelParameters = GKE) -> Iterator[tuple[int, float, float]]:
    """Nodes, and by how many seconds a job takes longer than with 4 nodes: upstream, and the model.

    Over images of every kind, as upstream's were.
    """
    images = [image_of((layers, size)) for layers in (9, 125) for size in (66_460_665, 387_602_448, 6_836_726_027)]
    base: float | None = None
    for size, wall in UPSTREAM_WALL_SECONDS.items():
        runs = run_study(ClusterSettings("sim-growth", size, parameters=parameters), images)
        seconds = fmean(run.wall_seconds for run in runs)
        base = seconds if base is None else base
        yield size, (wall - UPSTREAM_WALL_SECONDS[4]) / UPSTREAM_JOBS, seconds - base


def report(data: Path) -> Iterator[str]:
    """The lines of docs/sim-model.md's tables."""
    for logs in LOG_SETS:
        yield from _fit_lines(logs, data)
        rows = compare(logs, data)
        yield from _comparison_lines(logs, rows)
        yield from _spread_lines(logs, rows)
    yield "\n## A job's growth with the cluster, against 4 nodes (upstream GKE sweep)\n"
    yield "|nodes|real s|model s|"
    yield "|-|-|-|"
    for size, real, model in growth():
        yield f"|{size}|{real:.1f}|{model:.1f}|"


def _fit_lines(logs: LogSet, data: Path) -> Iterator[str]:
    names = ("unpack MB/s", "write MB/s", "dirtyable GB", "busy commit s", "resolve s", "layer latency s")
    scales = (MB, MB, 1000 * MB, 1, 1, 1)
    yield f"\n## {logs.name}: rates\n"
    yield "|parameter|in use|best fit|"
    yield "|-|-|-|"
    jobs = observed(logs, data)
    fitted = rates_of(fit(logs, jobs))
    for name, scale, used, best in zip(names, scales, rates_of(logs.parameters), fitted, strict=True):
        yield f"|{name}|{used / scale:.4g}|{best / scale:.4g}|"
    errors = sorted(map(abs, held_out(logs, jobs)))
    yield (
        f"\nOf images left out of the fit, one at a time: median error of the median pull {median(errors):.1%}, "
        f"largest {errors[-1]:.1%}, {len(errors)} rows."
    )


def _spread_lines(logs: LogSet, rows: list[Row]) -> Iterator[str]:
    yield f"\n## {logs.name}: spread of the pulls of an image, relative standard deviations\n"
    yield "|layers|MB|within a job real|model|from job to job real|model|"
    yield "|-|-|-|-|-|-|"
    for shape in sorted({row.shape for row in rows}):
        found = [row for row in rows if row.shape == shape]
        real = spread([row.real.pull_seconds for row in found])
        model = spread([row.model.pull_seconds for row in found])
        if real is not None and model is not None:
            within, between = (
                f"{getattr(real, name):.1%}|{getattr(model, name):.1%}" for name in ("within", "between")
            )
            yield f"|{shape[0]}|{shape[1] / MB:.0f}|{within}|{between}|"


def _comparison_lines(logs: LogSet, rows: list[Row]) -> Iterator[str]:
    yield f"\n## {logs.name}: model against real, seconds\n"
    yield "|nodes|layers|MB|pull real|pull model|error|start to end real|model|makespan real|model|"
    yield "|-|-|-|-|-|-|-|-|-|-|"
    for row in rows:
        yield (
            f"|{row.size}|{row.shape[0]}|{row.shape[1] / MB:.0f}|{row.real.median_pull_seconds:.2f}"
            f"|{row.model.median_pull_seconds:.2f}|{row.pull_error:+.1%}"
            f"|{_seconds(row.real.tail_seconds)}|{_seconds(row.model.tail_seconds)}"
            f"|{_seconds(row.real.makespan_seconds)}|{_seconds(row.model.makespan_seconds)}|"
        )
    errors = sorted(abs(row.pull_error) for row in rows)
    yield f"\nMedian error of the median pull {median(errors):.1%}, largest {errors[-1]:.1%}, {len(rows)} rows."


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.stderr.write(
            "usage: python -m pullstudy.sim.calibrate DATA, where DATA holds pulling-aws/ and pulling-test-run3/\n"
        )
        return 2
    try:
        for line in report(Path(sys.argv[1])):
            sys.stdout.write(line + "\n")
    except FileNotFoundError as error:
        sys.stderr.write(f"calibrate: no log {error.filename}; DATA holds pulling-aws/ and pulling-test-run3/\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
