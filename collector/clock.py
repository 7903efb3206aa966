"""Time, as the collector asks for it: passed in, so that tests are exact and need not wait."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two ways to read the time, one to wait."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC: for what is written down."""
        ...

    def monotonic_seconds(self) -> float:
        """A clock that never goes back: for how long something took."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
