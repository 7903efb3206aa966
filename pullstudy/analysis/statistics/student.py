"""Student's t distribution, for any degrees of freedom above zero, whole or not."""


def student_quantile(probability: float, freedom: float) -> float:
    """The value that a share ``probability`` of all lies below."""
    from scipy.special import stdtrit  # loading it takes a quarter of a second

    return float(stdtrit(freedom, probability))


def two_sided(t: float, freedom: float) -> float:
    """The probability of a value at least as far from zero as ``t``: a test's p."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))
