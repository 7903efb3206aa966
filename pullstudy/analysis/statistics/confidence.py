"""What all intervals have in common: how sure they are, and how many standard errors that is."""

import math
from functools import lru_cache
from statistics import NormalDist

from pullstudy.analysis.statistics.student import student_quantile

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2  # beyond an interval, on each side
_AS_NORMAL = 1e6  # degrees of freedom from which Student's t is the normal distribution
_MOST = 700.0  # beyond it exp overflows


@lru_cache(maxsize=1024)
def errors_to_bound(freedom: float) -> float:
    """Standard errors from an estimate to each bound of its interval, with so many degrees of freedom."""
    return NormalDist().inv_cdf(1 - TAIL) if freedom > _AS_NORMAL else student_quantile(1 - TAIL, freedom)


def ratio_of(logarithm: float) -> float:
    """Its exponential; bounds that few values leave beyond what a float holds are about the largest float."""
    return math.exp(min(logarithm, _MOST))
