"""What a model foretells of a job's pulls without simulating it, and two plain rivals that it has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist, median, pvariance

from pullstudy.sim.calibration.seen_jobs import SeenJob, p95_seconds
from pullstudy.sim.calibration.spreads import Z90, spread_of
from pullstudy.sim.model.parameters import ModelParameters


@dataclass(frozen=True)
class Foretold:
    """Seconds. ``p95`` is that of as many pulls as were seen; nine tenths of pulls are from ``low`` to ``high``."""

    median: float
    p95: float
    low: float
    high: float


def foretell(parameters: ModelParameters, draws: Sequence[ModelParameters], job: SeenJob) -> Foretold:
    """``draws`` are models that are equally likely: what they differ by widens the interval."""
    middle = job.nominal_seconds(parameters)
    spread = spread_of(parameters, job)
    of_parameters = pvariance([log(job.nominal_seconds(draw)) for draw in draws]) if len(draws) > 1 else 0.0
    width = exp(Z90 * sqrt(spread.pull + spread.job + of_parameters))
    return Foretold(
        middle, middle * exp(sqrt(spread.pull) * _usual_p95(len(job.seconds))), middle / width, middle * width
    )


def _usual_p95(pulls: int) -> float:
    """Of so many standard normal values, as ``p95_seconds`` has it; Blom's places of order statistics."""
    normal = NormalDist()
    return p95_seconds([normal.inv_cdf((rank - 0.375) / (pulls + 0.25)) for rank in range(1, pulls + 1)])


def nearest_size(seen: Sequence[SeenJob], wanted: SeenJob) -> float:
    """The rival that knows what was seen: the median of the jobs of the image that is nearest in layers and bytes."""

    def distance(job: SeenJob) -> float:
        layers = log(len(job.image.layers) / len(wanted.image.layers))
        return abs(log((job.image.unpacked_bytes + 1) / (wanted.image.unpacked_bytes + 1))) + abs(layers)

    least = min(map(distance, seen))
    return median([job.median_seconds for job in seen if distance(job) == least])


def regression(seen: Sequence[SeenJob], wanted: SeenJob) -> float:
    """The rival that knows no disk: seconds as a sum of bytes and layers, by least squares of relative errors."""
    import numpy as np

    rows = np.array([[1.0, job.image.unpacked_bytes, len(job.image.layers)] for job in seen])
    seconds = np.array([job.median_seconds for job in seen])
    found, *_ = np.linalg.lstsq(rows / seconds[:, None], np.ones(len(seen)), rcond=None)
    said = float(found @ [1.0, wanted.image.unpacked_bytes, len(wanted.image.layers)])
    return max(said, float(min(seconds)))
