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


async def polls(pace: Pace, limit_seconds: float = math.inf, *, sleep: Sleep = asyncio.sleep) -> AsyncIterator[float]:
    """The seconds waited so far, once for each look; it ends after the first look that comes at the limit or later.

    ``async for waited in polls(...)``: look, and ``return`` what was found; what follows the loop is the limit's error.
    Only the pauses count as waited, not the looks.
    """
    pause, waited = pace.first_seconds, 0.0
    while True:
        yield waited
        if waited >= limit_seconds:
            return
        await sleep(pause)
        waited += pause
        pause = min(pause * pace.factor, pace.most_seconds)
