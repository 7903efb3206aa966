"""Student's t distribution, for any degrees of freedom above zero, whole or not."""

import math

_PRECISION = 1e-15
_TERMS = 10_000


def student_cdf(t: float, freedom: float) -> float:
    """The probability of a value up to ``t``."""
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return tail if t < 0 else 1 - tail


def student_quantile(probability: float, freedom: float) -> float:
    """The value that a share ``probability`` of all lies below, by bisection. Probabilities of 0 and 1 have none."""
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < probability:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if student_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def two_sided(t: float, freedom: float) -> float:
    """The probability of a value at least as far from zero as ``t``: a test's p."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b). Source: DLMF 8.17.22, a continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # there the fraction of the mirrored function converges faster
        return 1 - _incomplete_beta(b, a, 1 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) / a * _beta_fraction(a, b, x)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """1 / (1 + d1 / (1 + d2 / (1 + ...))), by Lentz's method, which begins at 1 so that no denominator is 0."""
    value, upper, lower = 1.0, 1.0, 0.0
    for place in range(_TERMS):
        half = place // 2
        if place == 0:
            term = 1.0
        elif place % 2 == 0:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        lower = 1 / (1 + term * lower)
        upper = 1 + term / upper
        step = upper * lower
        value *= step
        if place and abs(step - 1) < _PRECISION:
            break
    return value - 1
