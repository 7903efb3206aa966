"""The least of a sum of squares that has kinks and several valleys: descents from many starts, then ever new ones near
the best until none is deeper (basin hopping, Wales and Doye 1997). Needs scipy and numpy, of the extra ``calibrate``.
"""

import random
from collections.abc import Callable, Sequence
from math import sqrt

Residuals = Callable[[Sequence[float]], list[float]]

BOUND = 5  # scales: no parameter is looked for further away
HOPS = (0.3, 0.3, 1.0, 1.0)  # scales from the best: where a round's descents begin
MOST_ROUNDS = 6
DEEPER = 1e-4  # by less a round has found nothing
_POWELL_CALLS = 800


def least(
    residuals: Residuals, scales: Sequence[float], starts: Sequence[Sequence[float]], *, hopping: bool
) -> list[float]:
    """Where it is. ``scales`` are standard deviations of what is believed of each; ``starts`` are from zero."""
    cost, best = min(_descend(residuals, scales, start) for start in starts)
    source = random.Random(0)
    for _ in range(MOST_ROUNDS if hopping else 0):
        around = [
            [step + hop * source.gauss(0.0, scale) for step, scale in zip(best, scales, strict=True)] for hop in HOPS
        ]
        nexts = [_powell(residuals, scales, best), *around]
        found = min(_descend(residuals, scales, start) for start in nexts)
        if found[0] > cost - DEEPER:
            return min((cost, best), found)[1]
        cost, best = found
    return best


def _descend(residuals: Residuals, scales: Sequence[float], start: Sequence[float]) -> tuple[float, list[float]]:
    """The cost there, and the place: by trust regions, with far residuals counted less (soft_l1)."""
    import numpy as np
    from scipy.optimize import least_squares

    bound = BOUND * np.array(scales)
    inside = np.clip(start, -0.999 * bound, 0.999 * bound)
    found = least_squares(
        residuals, inside, bounds=(-bound, bound), loss="soft_l1", diff_step=1e-4, max_nfev=100, x_scale=scales
    )
    return float(found.cost), [float(step) for step in found.x]


def _powell(residuals: Residuals, scales: Sequence[float], start: Sequence[float]) -> list[float]:
    """Along lines, without slopes: over a kink where trust regions stick."""
    from scipy.optimize import minimize

    def cost(steps: Sequence[float]) -> float:
        return _cost(residuals(steps))

    bounds = [(-BOUND * scale, BOUND * scale) for scale in scales]
    found = minimize(cost, start, method="Powell", bounds=bounds, options={"maxfev": _POWELL_CALLS})
    return [float(step) for step in found.x]


def _cost(residuals: Sequence[float]) -> float:
    """As soft_l1 has it."""
    return sum(sqrt(1 + each**2) - 1 for each in residuals)
