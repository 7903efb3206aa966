"""The first signal stops, the later ones wait."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from driver.commands.interrupt import SIGNALS, InterruptedByUserError, interruptible


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_cleaning_up_is_not_cut_short_by_a_second_signal() -> None:
    said: list[str] = []
    cleaned: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.01)
            cleaned.append("all of it")

    with pytest.raises(InterruptedByUserError):
        await interruptible(work(), said.append)
    assert cleaned == ["all of it"]
    assert said[0] == "SIGTERM: stopping; the cluster is being taken down"
    assert said[1].startswith("still taking the cluster down")
    os.kill(os.getpid(), signal.SIGTERM)  # too late to change how the process ends


async def test_what_the_work_returns_comes_back_and_the_signals_are_free_again() -> None:
    async def work() -> int:
        return 7

    assert await interruptible(work(), print) == 7
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


async def test_an_error_of_the_work_is_its_own() -> None:
    async def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await interruptible(work(), print)
