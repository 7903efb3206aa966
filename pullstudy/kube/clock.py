"""Time, as the watch loop asks for it: passed in, so that tests are exact and need not wait."""

import asyncio
from typing import Protocol

from pullstudy.polling import Sleep


class Clock(Protocol):
    """One way to read the time, one to wait."""

    def monotonic_seconds(self) -> float:
        """A clock that never goes back: for how long something took."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class LoopClock:
    """The running event loop's. Where ``sleep`` returns early, as a test's does, its seconds have passed."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._ahead_seconds = 0.0

    def monotonic_seconds(self) -> float:
        return asyncio.get_running_loop().time() + self._ahead_seconds

    async def sleep(self, seconds: float) -> None:
        end = self.monotonic_seconds() + seconds
        await self._sleep(seconds)
        self._ahead_seconds += max(0.0, end - self.monotonic_seconds())
