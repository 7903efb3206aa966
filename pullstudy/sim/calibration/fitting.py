"""Fitting by pattern search: each parameter in turn is tried a step up and a step down, and the steps shrink."""

from collections.abc import Callable

SHRINK = 0.5
FIRST_STEP = 0.2  # relative
LAST_STEP = 0.002


def minimise(error: Callable[[list[float]], float], start: list[float]) -> list[float]:
    """Positive parameters near ``start`` with the least error that such steps reach."""
    best, least, step = list(start), error(start), FIRST_STEP
    while step > LAST_STEP:
        improved = False
        for position in range(len(best)):
            for factor in (1 + step, 1 / (1 + step)):
                trial = [*best]
                trial[position] *= factor
                found = error(trial)
                if found < least:
                    best, least, improved = trial, found, True
        if not improved:
            step *= SHRINK
    return best
