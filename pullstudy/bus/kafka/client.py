"""What every client of aiokafka needs at its end: a limit."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka.errors import KafkaError


async def stop_within(seconds: float, stopping: Coroutine[Any, Any, None], client: Any) -> bool:
    """Stop a client; False where its brokers did not let it in time, and it was cut off.

    ``stop()`` waits for a broker that is dead, for ever (aiokafka #1101): then only its connections are closed.
    """
    # A task of its own: a fetch that stop() cancels makes stop() itself end as cancelled.
    task = asyncio.ensure_future(stopping)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
    if task.done() and not task.cancelled() and _ended_well(task):
        return True
    await _cut(client)
    return False


def _ended_well(task: asyncio.Task[None]) -> bool:
    error = task.exception()
    if error is not None and not isinstance(error, (KafkaError, OSError)):
        raise error
    return error is None


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
