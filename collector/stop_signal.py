"""SIGTERM and SIGINT: what they stop, and the last moment at which the process is gone whatever does not close."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable

from pullstudy.exit_codes import DONE, INTERRUPTED


class StopSignal:
    """The signals as something to wait for. A second one gives up draining."""

    def __init__(self, *on_first: Callable[[signal.Signals], None]) -> None:
        """Each of ``on_first`` is called with the first signal."""
        self.first: signal.Signals | None = None
        self.stop = asyncio.Event()
        self.give_up = asyncio.Event()
        self._on_first = on_first

    def install(self) -> None:
        """In the running event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.receive, number)

    def receive(self, number: signal.Signals) -> None:
        if self.first is not None:
            self.give_up.set()
            return
        self.first = number
        self.stop.set()
        for call in self._on_first:
            call(number)

    @property
    def exit_code(self) -> int:
        return exit_code(self.first)


def exit_code(number: signal.Signals | None) -> int:
    """What the process ends with after the signal."""
    return INTERRUPTED if number is signal.SIGINT else DONE


def end_within(seconds: float) -> Callable[[signal.Signals], None]:
    """For StopSignal: end the process that long after the signal, if it has not ended by itself.

    A look-up of a name and a write to a disk that hangs run in threads that nothing can stop, and Python waits for
    them at its end. All that was read is in the spool or on the bus by then, as after a kill -9.
    """

    def end(number: signal.Signals) -> None:
        timer = threading.Timer(seconds, _end, (seconds, exit_code(number)))
        timer.daemon = True
        timer.start()

    return end


def _end(seconds: float, code: int) -> None:
    sys.stderr.write(
        f"collector: not everything was closed within {seconds:g} s, ended all the same; nothing is lost by it\n"
    )
    sys.stderr.flush()
    os._exit(code)
