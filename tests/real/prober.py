"""When a record can be queried: InfluxDB is asked by Flux again and again, and who is first told of is noted.

The time of a record runs from the API server's acknowledgement of its event, read by the writer, to the end of the
first answer that has it, read by the prober: both in this process, by one clock. It is too long by up to the time from
one answer to the next (``step_seconds``), and never too short but for what the writer's own loop was late.
"""

import asyncio
import math
import time
from collections.abc import Sequence

from tests.real.load import Acknowledged, Identity
from tests.real.points import Points


class Prober:
    """Run it as a task beside the writer, and cancel it."""

    def __init__(self, points: Points, acknowledged: Acknowledged, pause_seconds: float = 0.1) -> None:
        self._points = points
        self._acknowledged = acknowledged
        self._pause_seconds = pause_seconds
        self.told_at: dict[Identity, float] = {}
        self.step_seconds: list[float] = []  # from one answer to the next
        self._answered_at = time.time()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.ask()
            await asyncio.sleep(self._pause_seconds)

    async def ask(self) -> None:
        """Once, for those that nobody has told of yet."""
        outstanding = self._acknowledged.identities - self.told_at.keys()
        if not outstanding:
            self._answered_at = time.time()
            return
        oldest = min(self._acknowledged.stamps[identity] for identity in outstanding)
        found = await self._points.identities_if_there(oldest)
        now = time.time()
        self.step_seconds.append(now - self._answered_at)
        self._answered_at = now
        for identity in found:
            self.told_at.setdefault(identity, now)

    def waits_seconds(self) -> list[float]:
        """Of each record that was told of, in order of length."""
        at = self._acknowledged.at_seconds
        return sorted(told - at[identity] for identity, told in self.told_at.items() if identity in at)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered values that so large a share of them does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
