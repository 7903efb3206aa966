"""Fisher's F distribution: whether a model leaves more unexplained than chance does.

Source: DLMF 8.17 (the incomplete beta function); Draper and Smith 1998, chapter 2 (lack of fit).
"""

from pullstudy.analysis.statistics.incomplete_beta import incomplete_beta


def f_tail(value: float, numerator: float, denominator: float) -> float:
    """The chance of a ratio of two mean squares as great as ``value``, of so many degrees of freedom each."""
    if value <= 0:
        return 1.0
    return incomplete_beta(denominator / (denominator + numerator * value), denominator / 2, numerator / 2)
