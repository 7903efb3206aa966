"""Waiting for something that shows itself only when asked: asked again and again, up to a deadline."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.stack.error import StackError

POLL_SECONDS = 0.05


async def until(
    holds: Callable[[], Awaitable[bool]], deadline_seconds: float, what: str, *, poll_seconds: float = POLL_SECONDS
) -> None:
    """Return when it holds.

    Raises StackError, which says what was waited for, after the deadline.
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            while True:
                if await holds():
                    return
                await asyncio.sleep(poll_seconds)
    except TimeoutError:
        raise StackError(f"waited {deadline_seconds:g} s in vain for {what}") from None
