"""The parameters that jobs tell: least squares of logarithms from many starts, beside what is believed without jobs.

Bayes' theorem with log-normal beliefs, at its maximum; Laplace's approximation around it (Gelman et al., Bayesian Data
Analysis, ch. 4). Needs scipy and numpy, of the extra ``calibrate``.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import copysign, exp, log, sqrt
from typing import TYPE_CHECKING

from pullstudy.sim.calibration.descent import least
from pullstudy.sim.calibration.free_parameters import FreeParameter, centre, free_of, tellable, with_values
from pullstudy.sim.calibration.seen_jobs import SeenJob
from pullstudy.sim.model.parameters import ModelParameters

if TYPE_CHECKING:
    import numpy

FIRST_NOISE = 0.02  # of a job's median, relative, until the fit shows it
NOISE = (0.01, 0.3)
TOLD = 0.6  # a parameter is told if what is believed of it narrows to less than this
STARTS = 12  # by chance, beside those with one parameter lower
LOW = 1.5  # standard deviations
VOLUME_BOUNDS = {"volume.write_bytes_per_second", "volume.dirtyable_bytes"}
SLOPE = 1e-3  # of a logarithm


@dataclass(frozen=True)
class Fit:
    """``told`` and ``held`` are parameters by ``group.name``: the best value, and how sure, as a factor's logarithm.

    ``covariance`` is that of the logarithms of ``told``, in its order.
    """

    parameters: ModelParameters
    told: dict[str, tuple[float, float]]
    held: dict[str, tuple[float, float]]
    covariance: "numpy.ndarray"

    def draws(self, count: int, source: random.Random) -> list[dict[str, float]]:
        """Sets of all these parameters, equally likely."""
        import numpy as np

        root = np.linalg.cholesky(self.covariance) if self.told else self.covariance
        return [self._draw(root, source) for _ in range(count)]

    def _draw(self, root: "numpy.ndarray", source: random.Random) -> dict[str, float]:
        steps = root @ [source.gauss(0.0, 1.0) for _ in self.told]
        told = {name: value * exp(step) for (name, (value, _)), step in zip(self.told.items(), steps, strict=True)}
        return told | {name: value * exp(source.gauss(0.0, sigma)) for name, (value, sigma) in self.held.items()}


def fit(jobs: Sequence[SeenJob], base: ModelParameters, seed: int = 0, near: Fit | None = None) -> Fit:
    """The parameters of which these jobs are likeliest: the best found from many starts, which ``seed`` chooses.

    Where a fit of nearly the same jobs is known, ``near``, its parameters and the base's are the starts.
    """
    every = free_of(base)
    free = tellable(every, [len(job.image.layers) for job in jobs])
    starts = _starts(free, seed) if near is None else [[0.0] * len(free), _steps(base, free, near)]
    hopping = near is None
    whole = _search(jobs, base, free, FIRST_NOISE, starts, hopping=hopping)
    whole = _search(jobs, base, free, whole.noise, [whole.steps], hopping=hopping)
    told = [each for each, sigma in zip(free, whole.sigmas, strict=True) if sigma < TOLD * each.sigma]
    base = with_values(base, centre(base, every))
    best = _search(jobs, base, told, whole.noise, [[whole.step(each) for each in told]], hopping=False)
    middle = centre(base, every)
    return Fit(
        best.parameters,
        {
            each.name: (middle[each.name] * exp(step), sigma)
            for each, step, sigma in zip(told, best.steps, best.sigmas, strict=True)
        },
        {each.name: (middle[each.name], each.sigma) for each in every if each not in told},
        best.covariance,
    )


@dataclass(frozen=True)
class _Found:
    free: Sequence[FreeParameter]
    parameters: ModelParameters
    steps: list[float]  # logarithms of the factors to the middle of what is believed
    covariance: "numpy.ndarray"
    noise: float

    @property
    def sigmas(self) -> list[float]:
        return [float(self.covariance[place, place]) ** 0.5 for place in range(len(self.free))]

    def step(self, wanted: FreeParameter) -> float:
        return self.steps[self.free.index(wanted)]


def _starts(free: Sequence[FreeParameter], seed: int) -> list[list[float]]:
    """Points as far from the middle of what is believed as that allows, and each parameter low in turn.

    What bounds nothing has no slope: only from where it bounds is it found. A volume bounds where it is slow and little
    may be dirty.
    """
    source = random.Random(seed)
    lower = [*({each.name} for each in free), VOLUME_BOUNDS]
    low = [[-LOW * each.sigma * (each.name in names) for each in free] for names in lower]
    return low + [[source.gauss(0.0, each.sigma) for each in free] for _ in range(STARTS)]


def _steps(base: ModelParameters, free: tuple[FreeParameter, ...], near: Fit) -> list[float]:
    middle, found = centre(base, free), {**near.held, **near.told}
    return [log(found[each.name][0] / middle[each.name]) for each in free]


def _search(
    jobs: Sequence[SeenJob],
    base: ModelParameters,
    free: Sequence[FreeParameter],
    noise: float,
    starts: Sequence[list[float]],
    *,
    hopping: bool,
) -> _Found:
    import numpy as np

    middle = centre(base, tuple(free))
    kinds = {(job.shape, job.nodes): job for job in jobs}
    seen = [(log(job.median_seconds), (job.shape, job.nodes)) for job in jobs]

    def parameters_at(steps: Sequence[float]) -> ModelParameters:
        return with_values(
            base, {each.name: middle[each.name] * exp(step) for each, step in zip(free, steps, strict=True)}
        )

    def misses(steps: Sequence[float]) -> list[float]:
        trial = parameters_at(steps)
        said = {kind: log(job.nominal_seconds(trial)) for kind, job in kinds.items()}
        return [said[kind] - real for real, kind in seen]

    def residuals(steps: Sequence[float]) -> list[float]:
        beliefs = [_square(step / each.sigma) for each, step in zip(free, steps, strict=True)]
        return [miss / noise for miss in misses(steps)] + beliefs

    if not free:
        return _Found(free, base, [], np.zeros((0, 0)), _noise(misses([])))
    steps = least(residuals, [each.sigma for each in free], starts, hopping=hopping)
    # Jobs of one image miss alike: an image tells what one job does.
    share = len({job.shape for job in jobs}) / len(jobs)
    told = _information(misses, steps, noise) * share
    covariance = np.linalg.inv(told + np.diag([each.sigma**-2 for each in free]))
    return _Found(free, parameters_at(steps), steps, covariance, _noise(misses(steps)))


def _information(
    misses: Callable[[Sequence[float]], list[float]], steps: Sequence[float], noise: float
) -> "numpy.ndarray":
    """What the jobs tell of each parameter: the squares of the misses' slopes, over the noise; far jobs count less."""
    import numpy as np

    here = np.array(misses(steps))
    moved = [[step + SLOPE * (place == each) for place, step in enumerate(steps)] for each in range(len(steps))]
    slopes = np.array([(np.array(misses(each)) - here) / SLOPE for each in moved]) / noise
    weights = 1 / np.sqrt(1 + (here / noise) ** 2)
    return (slopes * weights) @ slopes.T


def _square(far: float) -> float:
    """What soft_l1 makes the square of: jobs may be far off now and then, what is believed of parameters may not."""
    return copysign(sqrt(far**2 + far**4 / 4), far)


def _noise(misses: Sequence[float]) -> float:
    """The standard deviation of most of them, by the median of their sizes."""
    ordered = sorted(map(abs, misses))
    return min(max(1.4826 * ordered[len(ordered) // 2], NOISE[0]), NOISE[1])
