"""Waiting for what happens in another task or process. The test's own time limit ends a wait in vain."""

import asyncio
from collections.abc import Awaitable, Callable

PAUSE_SECONDS = 0.005


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    while not condition():  # noqa: ASYNC110 - nobody here could set an event
        await asyncio.sleep(PAUSE_SECONDS)


async def until_it_is(condition: Callable[[], Awaitable[bool]]) -> None:
    """The same for what has to be asked for."""
    while not await condition():  # noqa: ASYNC110 - nobody here could set an event
        await asyncio.sleep(PAUSE_SECONDS)
