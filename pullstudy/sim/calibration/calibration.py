"""A model of the cluster that jobs were seen on, with how sure it is and how far off for what it was not fitted on."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from math import exp
from statistics import median
from typing import Any, Literal

import msgspec

from pullstudy.sim.calibration.fitting import Fit, fit
from pullstudy.sim.calibration.foretold import Foretold, foretell, nearest_size, regression
from pullstudy.sim.calibration.free_parameters import free_of, with_values
from pullstudy.sim.calibration.seen_jobs import SeenJob, p95_seconds
from pullstudy.sim.calibration.spreads import ENOUGH_CLUSTERS, Z90, fit_spreads
from pullstudy.sim.model.model_file import (
    Calibration,
    FittedRecords,
    FittedValue,
    HeldOutError,
    HeldValue,
    ModelFile,
)
from pullstudy.sim.model.parameters import ModelParameters

DRAWS = 40
FEWEST_JOBS = 3
FEWEST_IMAGES = 2
LeftOut = Literal["size", "image", "cluster"]
Progress = Callable[[str], None]


class CalibrationError(ValueError):
    """These jobs are not enough for a model. ``str()`` is one line."""


@dataclass(frozen=True)
class FittedModel:
    """A fit with its spreads."""

    fit: Fit
    parameters: ModelParameters
    spreads: dict[str, float]

    def draws(self) -> list[dict[str, float]]:
        """The same for the same fit."""
        return self.fit.draws(DRAWS, random.Random(0))

    def foretells(self, jobs: Sequence[SeenJob]) -> list[Foretold]:
        """Of each job what its pulls should be."""
        models = [with_values(self.parameters, draw) for draw in self.draws()]
        return [foretell(self.parameters, models, job) for job in jobs]


def fit_model(jobs: Sequence[SeenJob], base: ModelParameters, seed: int = 0, near: Fit | None = None) -> FittedModel:
    """The model of these jobs, begun from the base, as ``fit`` has it. Raises CalibrationError."""
    images = {job.shape for job in jobs}
    if len(jobs) < FEWEST_JOBS or len(images) < FEWEST_IMAGES:
        raise CalibrationError(
            f"{len(jobs)} jobs of {len(images)} images can be used: a model needs {FEWEST_JOBS} jobs, of"
            f" {FEWEST_IMAGES} images of other bytes or layers"
        )
    found = fit(jobs, base, seed, near)
    spreads = fit_spreads(jobs, found.parameters)
    return FittedModel(found, with_values(found.parameters, spreads), spreads)


def model_file(
    model: FittedModel,
    jobs: Sequence[SeenJob],
    base: ModelParameters,
    profile: str,
    study: str,
    left_out: Sequence[HeldOutError],
) -> ModelFile:
    """With every parameter, so that it is the same model whatever profile it is put over."""
    return ModelFile(
        _rounded(model.parameters),
        Calibration(
            profile=profile,
            study=study,
            records=tuple(_records(jobs)),
            fitted={
                **{name: _interval(value, sigma) for name, (value, sigma) in model.fit.told.items()},
                **_fitted_spreads(model, jobs),
            },
            unidentified={**_held(model, base), **_held_spreads(model, jobs)},
            held_out=tuple(left_out),
            draws=tuple({name: round_value(value) for name, value in draw.items()} for draw in model.draws()),
        ),
    )


def round_value(value: float) -> float:
    """To four digits: more would be noise, and differ from start to start."""
    return float(f"{value:.4g}")


def _rounded(parameters: ModelParameters) -> dict[str, dict[str, Any]]:
    told = msgspec.to_builtins(parameters)
    return {
        group.name: {
            name: round_value(value) if type(value) is float else value for name, value in told[group.name].items()
        }
        for group in fields(ModelParameters)
    }


def _interval(value: float, sigma: float) -> FittedValue:
    width = exp(Z90 * sigma)
    return FittedValue(value=round_value(value), low=round_value(value / width), high=round_value(value * width))


def _held(model: FittedModel, base: ModelParameters) -> dict[str, HeldValue]:
    why = {each.name: each.untold for each in free_of(base)}
    return {name: _prior(value, sigma, why[name]) for name, (value, sigma) in model.fit.held.items()}


def _prior(value: float, sigma: float, why: str) -> HeldValue:
    around = _interval(value, sigma)
    return HeldValue(value=around.value, low=around.low, high=around.high, why=why)


def _fitted_spreads(model: FittedModel, jobs: Sequence[SeenJob]) -> dict[str, FittedValue]:
    """A standard deviation of n values is known to one part in the root of 2 n; jobs are what is independent."""
    held = _held_spreads(model, jobs)
    sigma = (1 / (2 * len(jobs))) ** 0.5
    return {name: _interval(value, sigma) for name, value in model.spreads.items() if name not in held}


def _held_spreads(model: FittedModel, jobs: Sequence[SeenJob]) -> dict[str, HeldValue]:
    clusters = len({job.cluster for job in jobs})
    if clusters >= ENOUGH_CLUSTERS:
        return {}
    why = f"{clusters} clusters were seen: {ENOUGH_CLUSTERS} are wanted"
    return {"spread.cluster_sigma": _prior(model.spreads["spread.cluster_sigma"], 0.7, why)}


def _records(jobs: Sequence[SeenJob]) -> Iterator[FittedRecords]:
    for cluster in sorted({job.cluster for job in jobs}):
        own = [job for job in jobs if job.cluster == cluster]
        yield FittedRecords(
            cluster=cluster,
            nodes=max(job.nodes for job in own),
            images=len({job.shape for job in own}),
            jobs=len(own),
            pulls=sum(len(job.seconds) for job in own),
        )


def kind_of(job: SeenJob, left_out: LeftOut) -> Any:
    """What jobs that are left out together have in common."""
    return {"size": job.nodes, "image": job.shape, "cluster": job.cluster}[left_out]


@dataclass(frozen=True)
class Trial:
    """A job that was not seen by the fit that foretold it."""

    job: SeenJob
    foretold: Foretold
    nearest: float
    regression: float

    @property
    def error(self) -> float:
        return self.foretold.median / self.job.median_seconds - 1

    @property
    def p95_error(self) -> float:
        return self.foretold.p95 / p95_seconds(self.job.seconds) - 1


def trials(
    jobs: Sequence[SeenJob], base: ModelParameters, whole: FittedModel, left_out: LeftOut, progress: Progress
) -> Iterator[Trial]:
    """Each size, image or cluster left out of one fit, and foretold by it. ``whole`` is the fit of all."""
    for kind in sorted({kind_of(job, left_out) for job in jobs}):
        rest = [job for job in jobs if kind_of(job, left_out) != kind]
        if len(rest) < FEWEST_JOBS or len({job.shape for job in rest}) < FEWEST_IMAGES:
            continue
        progress(f"without {left_out} {kind}")
        own = [job for job in jobs if kind_of(job, left_out) == kind]
        yield from foretold_trials(own, rest, fit_model(rest, base, near=whole.fit))


def foretold_trials(own: Sequence[SeenJob], seen: Sequence[SeenJob], model: FittedModel) -> Iterator[Trial]:
    """Jobs against what a model of others says of them, and what the rivals say that have seen these others."""
    for job, foretold in zip(own, model.foretells(own), strict=True):
        yield Trial(job, foretold, nearest_size(seen, job), regression(seen, job))


def held_out_error(left_out: LeftOut, found: Sequence[Trial]) -> HeldOutError:
    """Of one or more trials."""
    pulls = [(trial.foretold, seconds) for trial in found for seconds in trial.job.seconds]
    errors = [abs(trial.error) for trial in found]
    return HeldOutError(
        left_out=left_out,
        jobs=len(found),
        median_error=round_value(median(errors)),
        largest_error=round_value(max(errors)),
        p95_error=round_value(median(abs(trial.p95_error) for trial in found)),
        coverage=round_value(sum(each.low <= seconds <= each.high for each, seconds in pulls) / len(pulls)),
        nearest=round_value(median(abs(trial.nearest / trial.job.median_seconds - 1) for trial in found)),
        regression=round_value(median(abs(trial.regression / trial.job.median_seconds - 1) for trial in found)),
    )
