"""Least values of functions that have kinks, where derivatives mislead. Source: Hooke and Jeeves 1961."""

from collections.abc import Callable, Sequence

FIRST_STEP, LAST_STEP = 0.4, 0.002


def minimise(function: Callable[[Sequence[float]], float], start: Sequence[float]) -> tuple[list[float], float]:
    """A point near ``start`` from which no step along an axis leads lower, and the value there."""
    best, least, step = list(start), function(start), FIRST_STEP
    while step > LAST_STEP:
        found, value = _explored(function, best, least, step)
        if value < least:
            ahead = [2 * new - old for new, old in zip(found, best, strict=True)]
            best, least = found, value
            if (there := function(ahead)) < least:
                best, least = ahead, there
        else:
            step /= 2
    return best, least


def _explored(
    function: Callable[[Sequence[float]], float], point: list[float], value: float, step: float
) -> tuple[list[float], float]:
    point = list(point)
    for axis in range(len(point)):
        for change in (step, -step):
            trial = [*point]
            trial[axis] += change
            if (there := function(trial)) < value:
                point, value = trial, there
                break
    return point, value
