"""The regularised incomplete beta function: the probabilities of Student's t and of the binomial distribution.

Sources: DLMF 8.17.22 (the continued fraction); Thompson and Barnett 1986 (its evaluation); DLMF 8.17.5 (the binomial).
"""

import math

_PRECISION = 4e-16  # of a factor of the fraction: two units in the last place
_LEAST = 1e-300  # stands for a zero that would be divided by


def incomplete_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) for ``a`` and ``b`` above 0 and ``x`` from 0 to 1."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(logarithm)
    if x < (a + 1) / (a + b + 2):
        return front * continued_fraction(a, b, x) / a
    return 1 - front * continued_fraction(b, a, 1 - x) / b


def at_least(count: float, trials: float, probability: float) -> float:
    """The chance of ``count`` successes or more in so many trials. Neither need be whole: effective sizes are not."""
    if count <= 0:
        return 1.0
    return incomplete_beta(probability, count, trials - count + 1) if count < trials + 1 else 0.0


def continued_fraction(a: float, b: float, x: float) -> float:
    """By the modified method of Lentz; quick for ``x`` below (a + 1) / (a + b + 2)."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value, m = d, 0
    while True:
        m += 1
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + numerator * d)
            c = _not_zero(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) <= _PRECISION:
            return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _LEAST else _LEAST
