"""How long to wait before the next try, as a value."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Backoff:
    """Doubles from first_seconds to most_seconds; up to ``jitter`` of a wait is taken off at random.

    The jitter keeps many clients from coming back to a server in the same moment.
    """

    first_seconds: float = 0.2
    factor: float = 2.0
    most_seconds: float = 30.0
    jitter: float = 0.5

    def seconds(self, failures: int, random: Random) -> float:
        """The wait after so many failures in a row, at least one."""
        # 2.0 ** 1024 overflows, and a server may well be away for that many tries.
        doubled = self.first_seconds * self.factor ** min(max(failures, 1) - 1, 64)
        return min(doubled, self.most_seconds) * (1.0 - self.jitter * random.random())
