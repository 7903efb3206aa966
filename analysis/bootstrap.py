"""How sure a speed-up, a ratio of medians, is: the percentile bootstrap, seeded, so that it can be repeated.

It takes the values of each side as independent draws. Pulls of one job share a registry and a moment, so that
intervals from few jobs are narrower than the truth; repeats of the study widen what is known, more pods do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.random import Generator
    from numpy.typing import NDArray

RESAMPLES = 2000
SEED = 20241111
CONFIDENCE = 0.95
_BLOCK_VALUES = 2_000_000  # resampled at a time, 16 MB


@dataclass(frozen=True)
class SpeedUp:
    """Median of the first over median of the second; bounds None where a side has fewer than three values."""

    value: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        if self.low is None or self.high is None:
            return "too few to tell"
        if self.low > 1:
            return "faster"
        return "slower" if self.high < 1 else "no difference beyond chance"


def speed_up(first: Sequence[float], second: Sequence[float]) -> SpeedUp | None:
    """Of the second over the first; None where a side is empty or the second's median is not above zero."""
    import numpy as np

    if not first or not second or np.median(second) <= 0:
        return None
    value = float(np.median(first) / np.median(second))
    if min(len(first), len(second)) < 3:
        return SpeedUp(value, None, None)
    generator = np.random.default_rng(SEED)
    above, below = (_resampled_medians(generator, side) for side in (first, second))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(above / below, (tail, 1 - tail))
    return SpeedUp(value, float(low), float(high))


def _resampled_medians(generator: "Generator", values: Sequence[float]) -> "NDArray[float64]":
    import numpy as np

    block = max(1, _BLOCK_VALUES // len(values))
    medians = [
        np.median(generator.choice(values, (min(block, RESAMPLES - done), len(values))), axis=1)
        for done in range(0, RESAMPLES, block)
    ]
    return np.concatenate(medians)
