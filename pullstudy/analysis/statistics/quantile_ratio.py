"""The ratio of two samples' quantiles, from the interval of each.

By Zou and Donner's MOVER (2008): the distances from a quantile to its own bounds are squared and added, on the side
that matters for each bound of the ratio. It needs no symmetry, which a p95's interval does not have.
"""

import math
from statistics import NormalDist

from pullstudy.analysis.statistics.confidence import errors_to_bound
from pullstudy.analysis.statistics.quantile_intervals import ClusteredSample, QuantileEstimate
from pullstudy.analysis.statistics.speed_up import SpeedUp


def quantile_ratio(
    first: ClusteredSample, second: ClusteredSample, probability: float, cluster_margin: float
) -> SpeedUp | None:
    """How many times the first's quantile is the second's; None where a side has too few values for it.

    ``cluster_margin``: by how much the logarithm of the ratio may be off because clusters differ (95%).
    """
    found = [sample.quantile(probability) for sample in (first, second)]
    if found[0] is None or found[1] is None or min(found[0].value, found[1].value) <= 0:
        return None
    difference = math.log(found[0].value / found[1].value)
    down = _margin(_below(found[0]), _above(found[1]), cluster_margin)
    up = _margin(_above(found[0]), _below(found[1]), cluster_margin)
    return SpeedUp(
        value=math.exp(difference),
        low=None if down is None else math.exp(difference - down),
        high=None if up is None else math.exp(difference + up),
        p=_p(difference, down if difference > 0 else up),
    )


def _below(estimate: QuantileEstimate) -> float | None:
    return math.log(estimate.value / estimate.low) if estimate.low else None


def _above(estimate: QuantileEstimate) -> float | None:
    return math.log(estimate.high / estimate.value) if estimate.high else None


def _margin(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return math.hypot(*known) if len(known) == len(parts) else None


def _p(difference: float, margin: float | None) -> float | None:
    if margin is None:
        return None
    if not margin:
        return float(difference == 0)
    return 2 * NormalDist().cdf(-abs(difference) / margin * errors_to_bound(math.inf))
