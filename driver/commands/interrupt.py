"""Ctrl-C, SIGTERM and SIGHUP: the first one ends the work in order, later ones are told to wait.

SIGHUP comes when a terminal or an ssh session is closed. Whoever begins a command with it ignored (nohup) wants it to
go on.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedByUserError(Exception):
    """The work was ended by a signal, and has cleaned up. The exit code is 130."""


async def interruptible(work: Coroutine[Any, Any, T], say: Callable[[str], None]) -> T:
    """Run the work to its end; a signal cancels it once, so that its own cleaning up is never cut short.

    Raises InterruptedByUserError once the work has ended after a signal.
    """
    task = asyncio.ensure_future(work)
    signals = 0

    def take(number: signal.Signals) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            say(f"{number.name}: stopping; the cluster is being taken down")
            task.cancel()
        else:
            say("still taking the cluster down: a cluster left behind would have to be found and paid for")

    loop = asyncio.get_running_loop()
    heeded = [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    for number in heeded:
        loop.add_signal_handler(number, take, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not signals:
            raise
        raise InterruptedByUserError from None
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
            if signals:
                signal.signal(
                    number, signal.SIG_IGN
                )  # the process is about to end with its code, not with a third Ctrl-C
