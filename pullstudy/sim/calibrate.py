"""``python -m pullstudy.sim.calibrate DATA``: fit each profile to real logs, and all tables of docs/sim-model.md."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import get_args

from pullstudy.extras import MissingExtraError, require
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.calibration.calibration import (
    FittedModel,
    LeftOut,
    Trial,
    fit_model,
    held_out_error,
    model_file,
    trials,
)
from pullstudy.sim.calibration.experiment import JobRun, run_study
from pullstudy.sim.calibration.free_parameters import free_of
from pullstudy.sim.calibration.real_logs import RealJob, read_log
from pullstudy.sim.calibration.seen_jobs import SeenJob
from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.model.model_file import Calibration, HeldOutError, ModelFile
from pullstudy.sim.model.parameters import MB, PROFILES, ModelParameters

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
STUDY_IMAGES = re.compile(r"container-chonks[^:]*:\d+-layers-")
APPLICATIONS = re.compile(r"/ensemble-")

# Wall seconds a job of real sweeps, more than with 4 nodes (tests/data/README.md). The first is of 38 images on GKE.

REAL_GROWTH = {64: (4.0, 2.4, 3.4, 1.0), 128: (14.7, 10.0, 5.0), 256: (39.5, 30.9, 40.0)}
GROWTH_SIZES = (4, 8, 16, 32, 64, 128, 256)
LARGE_BYTES = 1e9


@dataclass(frozen=True)
class RealCluster:
    """One cluster's log."""

    name: str
    nodes: int
    path: str
    images: re.Pattern[str] = STUDY_IMAGES
    fitted: bool = True  # else it is only held against the model of the others

    def read(self, data: Path) -> dict[str, RealJob]:
        """Raises OSError."""
        plain = data / self.path
        packed = plain.with_name(f"{plain.name}.gz")
        return read_log(packed if packed.exists() else plain, self.images)

    def seen(self, data: Path) -> list[SeenJob]:
        """Raises OSError."""
        return [job.seen(self.name, self.nodes, image) for image, job in sorted(self.read(data).items())]


@dataclass(frozen=True)
class RealProfile:
    """The logs that a profile is fitted on."""

    profile: str
    version: str
    clusters: tuple[RealCluster, ...]

    @property
    def parameters(self) -> ModelParameters:
        return PROFILES[self.profile]


def _clusters(directory: str, file: str, sizes: Sequence[int], **more: object) -> tuple[RealCluster, ...]:
    return tuple(
        RealCluster(f"{directory}-{size}", size, f"{directory}/{file.format(size)}", **more)  # type: ignore[arg-type]
        for size in sizes
    )


REAL_PROFILES = (
    RealProfile(
        "eks-gp2",
        "1.27.16",
        (
            *_clusters("pulling-aws", "events-size-{}.json", (4, 8, 16)),
            *_clusters("eks-gp2-38-images", "events-{}.jsonl", (4, 8)),
        ),
    ),
    RealProfile(
        "gke-pd",
        "1.30.5",
        (
            *_clusters("gke-pd-near-registry", "events-{}.jsonl", (4, 8)),
            *_clusters("gke-streaming-off", "events-{}.jsonl", (4, 8), images=APPLICATIONS),
        ),
    ),
    RealProfile("gke-local-ssd", "1.30.3", _clusters("pulling-test-run3", "events-size-{}.json", (4, 8))),
    RealProfile(
        "gke-streaming",
        "1.30.5",
        (
            *_clusters("gke-streaming-on", "events-{}.jsonl", (8,), images=APPLICATIONS),
            *_clusters("gke-streaming-on", "events-{}.jsonl", (4,), images=APPLICATIONS, fitted=False),
        ),
    ),
)


@dataclass(frozen=True)
class FittedProfile:
    """A profile's jobs, what they tell, and how far off it is for what a fit has not seen."""

    real: RealProfile
    jobs: list[SeenJob]
    others: list[SeenJob]  # of clusters that are not fitted
    model: FittedModel
    trials: dict[LeftOut, list[Trial]]

    @property
    def file(self) -> ModelFile:
        """As ``pulldriver calibrate`` would write it."""
        real = self.real
        return model_file(self.model, self.jobs, real.parameters, real.profile, "docs/sim-model.md", self.held_out)

    @property
    def held_out(self) -> list[HeldOutError]:
        return [held_out_error(kind, found) for kind, found in self.trials.items() if found]


def fit_profile(real: RealProfile, data: Path) -> FittedProfile:
    """Raises OSError."""
    jobs = [job for cluster in real.clusters if cluster.fitted for job in cluster.seen(data)]
    others = [job for cluster in real.clusters if not cluster.fitted for job in cluster.seen(data)]
    model = fit_model(jobs, real.parameters)
    kinds: tuple[LeftOut, ...] = get_args(LeftOut)
    found = {kind: list(trials(jobs, real.parameters, model, kind, _say)) for kind in kinds}
    return FittedProfile(real, jobs, others, model, found)


def _say(line: str) -> None:
    sys.stderr.write(f"calibrate: {line}\n")


def report(data: Path) -> Iterator[str]:
    """The lines of docs/sim-model.md's tables."""
    fitted = []
    for real in REAL_PROFILES:
        _say(f"{real.profile}: fitting")
        fitted.append(fit_profile(real, data))
    yield from _error_lines(fitted)
    for each in fitted:
        yield from _parameter_lines(each)
        yield from _job_lines(each)
    yield from _simulated_lines(fitted, data)
    yield from _growth_lines()


def _error_lines(fitted: Sequence[FittedProfile]) -> Iterator[str]:
    yield "\n## Errors for what a fit has not seen\n"
    yield "|profile|left out|jobs|median of pulls|largest|p95|within 90%|nearest size|regression|"
    yield "|-|-|-|-|-|-|-|-|-|"
    for each in fitted:
        for kind, found in each.trials.items():
            large = [trial for trial in found if trial.job.image.unpacked_bytes >= LARGE_BYTES]
            for chosen, words in ((found, f"each {kind}"), (large, f"each {kind}, 1 GB and more")):
                if chosen:
                    yield _error_row(each.real.profile, words, held_out_error(kind, chosen))


def _error_row(profile: str, words: str, error: HeldOutError) -> str:
    return (
        f"|{profile}|{words}|{error.jobs}|{error.median_error:.1%}|{error.largest_error:.1%}|{error.p95_error:.1%}"
        f"|{error.coverage:.0%}|{error.nearest:.1%}|{error.regression:.1%}|"
    )


def _parameter_lines(each: FittedProfile) -> Iterator[str]:
    calibration = each.file.calibration
    assert calibration is not None
    yield f"\n## {each.real.profile}: parameters\n"
    yield "|parameter|in use|best fit|90% interval|"
    yield "|-|-|-|-|"
    for name in (*(free.name for free in free_of(each.real.parameters)), *each.model.spreads):
        yield _parameter_row(name, each.real.parameters, calibration)


def _parameter_row(name: str, used: ModelParameters, calibration: Calibration) -> str:
    group, _, parameter = name.partition(".")
    value = getattr(getattr(used, group), parameter)
    said = "none" if value is None else f"{value:.4g}"
    if name in calibration.fitted:
        told = calibration.fitted[name]
        return f"|`{name}`|{said}|{told.value:.4g}|{told.low:.4g} to {told.high:.4g}|"
    held = calibration.unidentified[name]
    return f"|`{name}`|{said}|held: {held.why}|{held.low:.4g} to {held.high:.4g} is usual|"


def _job_lines(each: FittedProfile) -> Iterator[str]:
    """By image: the medians of all its jobs, and what a fit says that has not seen the image."""
    yield f"\n## {each.real.profile}: medians of pulls, seconds; the model has not seen the image\n"
    yield "|layers|MB|real|model|error|"
    yield "|-|-|-|-|-|"
    for shape in sorted({trial.job.shape for trial in each.trials["image"]}):
        found = [trial for trial in each.trials["image"] if trial.job.shape == shape]
        real = ", ".join(f"{trial.job.median_seconds:.2f}" for trial in found)
        said = found[0].foretold.median
        error = median(trial.error for trial in found)
        yield f"|{shape[0]}|{shape[1] / MB:.0f}|{real}|{said:.2f}|{error:+.1%}|"
    for job, foretold in zip(each.others, each.model.foretells(each.others), strict=True):
        error = foretold.median / job.median_seconds - 1
        yield f"|{job.cluster}|{job.shape[1] / MB:.0f}|{job.median_seconds:.2f}|{foretold.median:.2f}|{error:+.1%}|"


def simulated(cluster: RealCluster, real: RealProfile, data: Path) -> list[tuple[RealJob, SeenJob, JobRun]]:
    """Each study image of a log beside a simulated job of the profile as it is in use. Raises OSError."""
    jobs = sorted(cluster.read(data).items())
    version = KubernetesVersion.parse(real.version)
    settings = ClusterSettings("sim-calibrate", cluster.nodes, 0, version=version, parameters=real.parameters)
    runs = run_study(settings, [image for image, _ in jobs])
    return [
        (job, job.seen(cluster.name, cluster.nodes, image), run) for (image, job), run in zip(jobs, runs, strict=True)
    ]


def _simulated_lines(fitted: Sequence[FittedProfile], data: Path) -> Iterator[str]:
    yield "\n## The simulator with the profiles in use: median errors over all jobs of a log\n"
    yield "|cluster|profile|jobs|median of pulls|makespan|real s|model s|"
    yield "|-|-|-|-|-|-|-|"
    for each in fitted:
        for cluster in each.real.clusters:
            if cluster.images is STUDY_IMAGES:
                yield _simulated_row(cluster, each.real, data)


def _simulated_row(cluster: RealCluster, real: RealProfile, data: Path) -> str:
    found = simulated(cluster, real, data)
    pulls = median(abs(run.median_pull_seconds / seen.median_seconds - 1) for _, seen, run in found)
    spans = [(job.makespan_seconds, run.makespan_seconds) for job, _, run in found]
    known = [(real_seconds, model) for real_seconds, model in spans if real_seconds]
    error = median(abs(model / real_seconds - 1) for real_seconds, model in known)
    means = fmean(real_seconds for real_seconds, _ in known), fmean(model for _, model in known)
    return f"|{cluster.name}|{real.profile}|{len(found)}|{pulls:.1%}|{error:.1%}|{means[0]:.1f}|{means[1]:.1f}|"


def growth(parameters: ModelParameters) -> Iterator[tuple[int, float]]:
    """Nodes, and by how many seconds a job takes longer than with 4 nodes, over images of every kind."""
    shapes = ((layers, size) for layers in (9, 125) for size in (66_460_665, 387_602_448, 6_836_726_027))
    images = [f"{REPOSITORY}:{layers}-layers-size-{size}-bytes" for layers, size in shapes]
    base: float | None = None
    for size in GROWTH_SIZES:
        seconds = fmean(
            run.wall_seconds for run in run_study(ClusterSettings("sim-growth", size, parameters=parameters), images)
        )
        base = seconds if base is None else base
        yield size, seconds - base


def _growth_lines() -> Iterator[str]:
    yield "\n## A job's growth with the cluster, against 4 nodes, seconds\n"
    names = [real.profile for real in REAL_PROFILES if real.parameters.registry.streamed_seconds is None]
    yield f"|nodes|real sweeps|{'|'.join(names)}|"
    yield f"|-|-|{'-|' * len(names)}"
    grown = [dict(growth(PROFILES[name])) for name in names]
    for size in GROWTH_SIZES:
        real = ", ".join(f"{each:.1f}" for each in REAL_GROWTH.get(size, ()))
        yield f"|{size}|{real}|{'|'.join(f'{each[size]:.1f}' for each in grown)}|"


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.stderr.write("usage: python -m pullstudy.sim.calibrate DATA, where DATA holds the logs of tests/data\n")
        return 2
    try:
        require("scipy", "calibrate")
        for line in report(Path(sys.argv[1])):
            sys.stdout.write(line + "\n")
    except (OSError, MissingExtraError) as error:
        sys.stderr.write(f"calibrate: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
