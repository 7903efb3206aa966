"""Looking at something again and again, with a pause before each look but the first."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Pace:
    """The pauses between looks: from first_seconds on ``factor`` times as long each, up to most_seconds."""

    first_seconds: float
    most_seconds: float
    factor: float = 2.0


def every(seconds: float) -> Pace:
    """Pauses that stay the same."""
    return Pace(seconds, seconds, 1.0)


async def polls(
    pace: Pace,
    limit_seconds: float = math.inf,
    *,
    sleep: Sleep = asyncio.sleep,
    monotonic: Callable[[], float] | None = None,
) -> AsyncIterator[float]:
    """The seconds waited so far, once for each look; the last look is the one at the limit.

    ``async for waited in polls(...)``: look, and ``return`` what was found; what follows the loop is the limit's error.
    Without ``monotonic``, a clock, only the pauses count as waited, and not what the looks take.
    """
    began = monotonic() if monotonic else 0.0
    pause, paused = pace.first_seconds, 0.0
    while True:
        waited = monotonic() - began if monotonic else paused
        yield waited
        waited = monotonic() - began if monotonic else paused
        if waited >= limit_seconds:
            return
        rest = min(pause, limit_seconds - waited)
        await sleep(rest)
        paused += rest
        pause = min(pause * pace.factor, pace.most_seconds)


async def ticks(seconds: float, *, sleep: Sleep = asyncio.sleep) -> AsyncIterator[None]:
    """Once after each pause, for ever: for what is done from time to time."""
    while True:
        await sleep(seconds)
        yield
