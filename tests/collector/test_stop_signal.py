"""SIGTERM and SIGINT: what they begin, what a second one does, and when the process is gone whatever hangs."""

import asyncio
import signal
import sys

import pytest

from collector.settings import StopSettings
from collector.stop_signal import StopSignal

# A thread that hangs is what a look-up of a name on a dead DNS server leaves behind: Python waits for it at its end.
HANGING = """
import asyncio, os, signal, time
from collector.stop_signal import StopSignal, end_within

async def run():
    stop = StopSignal(end_within(0.2))
    stop.install()
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    print("runs", flush=True)
    await stop.stop.wait()

asyncio.run(run())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_process_with_a_thread_that_hangs_is_gone_all_the_same(number: signal.Signals, code: int) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HANGING, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"runs\n"
    process.send_signal(number)
    _, said = await process.communicate()
    assert process.returncode == code
    line = b"collector: not everything was closed within 0.2 s, ended all the same; nothing is lost by it\n"
    assert said == line


async def test_the_first_signal_stops_and_counts_and_the_second_gives_up() -> None:
    began: list[signal.Signals] = []
    stop = StopSignal(began.append)
    assert (stop.stop.is_set(), stop.exit_code) == (False, 0)
    stop.receive(signal.SIGINT)
    assert (stop.stop.is_set(), stop.give_up.is_set(), stop.exit_code) == (True, False, 130)
    stop.receive(signal.SIGTERM)
    assert (stop.give_up.is_set(), stop.exit_code) == (True, 130)
    assert began == [signal.SIGINT]


def test_the_shares_of_the_limit_leave_something_for_what_hangs() -> None:
    """A client of Kafka each for collector and sink, one of them cut off while it was being opened and then again."""
    stop = StopSettings(within_seconds=25.0)
    closes = 3 * stop.close_seconds
    assert stop.drain_seconds(sink_follows=True) + stop.sink_drain_seconds + closes <= 0.9 * 25.0
    assert stop.drain_seconds(sink_follows=False) + closes <= 0.9 * 25.0 + 1e-9
    assert stop.sink_alone_drain_seconds + closes <= 0.9 * 25.0 + 1e-9
