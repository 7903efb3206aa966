"""What every client of aiokafka needs at its end: a limit."""

import asyncio
from collections.abc import Awaitable
from typing import Any


async def stop_within(seconds: float, stopping: Awaitable[None], client: Any) -> bool:
    """Stop a client; False where its brokers did not let it in time, and it was cut off.

    ``stop()`` waits for a broker that is dead, for ever (aiokafka #1101): then only its connections are closed.
    """
    try:
        async with asyncio.timeout(seconds):
            await stopping
    except TimeoutError:
        await _cut(client)
        return False
    return True


async def _cut(client: Any) -> None:
    # The public way is the one that hangs: these are the tasks that it would have ended.
    for owner, name in ((client, "_sender"), (client, "_fetcher"), (client, "_coordinator")):
        part = getattr(owner, name, None)
        for task in _tasks_of(part):
            task.cancel()
            await asyncio.wait([task], timeout=1.0)
    inner = getattr(client, "client", None) or getattr(client, "_client", None)
    if inner is not None:
        try:
            async with asyncio.timeout(1.0):
                await inner.close()
        except TimeoutError:
            return


def _tasks_of(part: Any) -> list[asyncio.Task[Any]]:
    held = vars(part).values() if part is not None else ()
    return [each for each in held if isinstance(each, asyncio.Task) and not each.done()]
