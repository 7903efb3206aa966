"""Faults on purpose: which server or process is hurt when, drawn from a seed, and done to it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.real.collecting import CollectorCommand
from tests.stack.server import Server
from tests.stack.wait import until

PATIENCE_SECONDS = 300.0


async def _at_once() -> bool:
    return True


@dataclass(frozen=True)
class Victim:
    """What is hurt, and whether it is worth it: a process that does nothing yet proves nothing by dying."""

    what: Server | CollectorCommand
    works: Callable[[], Awaitable[bool]] = _at_once


@dataclass(frozen=True)
class Fault:
    """One of them."""

    victim: str
    at: float  # events acknowledged, or seconds since the start: of what is passed, as inflict() is told
    away_seconds: float
    freezes: bool = False  # SIGSTOP and SIGCONT; else SIGKILL and a new start

    def __str__(self) -> str:
        return f"{self.victim} {'frozen' if self.freezes else 'killed'} at {self.at:,.0f}, {self.away_seconds:.1f} s"


def kills(random: Random, times: Mapping[str, int], end: float, most_seconds: float = 5.0) -> list[Fault]:
    """Each victim killed so often, at random points of equal stretches of the way from 5 to 80% of the end."""
    faults = []
    for victim, count in times.items():
        stretch = 0.75 * end / count
        for number in range(count):
            at = 0.05 * end + stretch * (number + random.random() * 0.9)
            faults.append(Fault(victim, round(at), random.uniform(0.0, most_seconds)))
    return sorted(faults, key=lambda fault: fault.at)


def one_after_the_other(
    random: Random, victims: Sequence[str], seconds: float, every_seconds: float, most_seconds: float
) -> list[Fault]:
    """A random victim every so often, killed or frozen."""
    count = int(seconds // every_seconds)
    return [
        Fault(
            random.choice(victims),
            every_seconds * (number + random.random() / 2),
            random.uniform(0.5, most_seconds),
            freezes=random.random() < 0.5,
        )
        for number in range(count)
    ]


async def inflict(
    faults: Sequence[Fault],
    victims: Mapping[str, Victim],
    passed: Callable[[], float],
    say: Callable[[str], None],
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """All of them; those of one victim one after the other, those of different ones side by side.

    Raises StackError where the moment of one does not come in ``patience_seconds``.
    """
    async with asyncio.TaskGroup() as group:
        for name, victim in victims.items():
            its = [fault for fault in faults if fault.victim == name]
            group.create_task(_one_by_one(its, victim, passed, say, patience_seconds))


async def _one_by_one(
    faults: Sequence[Fault],
    victim: Victim,
    passed: Callable[[], float],
    say: Callable[[str], None],
    patience_seconds: float,
) -> None:
    for fault in faults:

        async def is_due(at: float = fault.at) -> bool:
            return passed() >= at and await victim.works()

        await until(is_due, patience_seconds, f"the moment when {fault}")
        began, really = time.monotonic(), passed()
        await _hurt(fault, victim.what)
        say(f"{fault}; really at {really:,.0f}, back after {time.monotonic() - began:.1f} s")


async def _hurt(fault: Fault, what: Server | CollectorCommand) -> None:
    process = what.process
    if fault.freezes:
        process.freeze()
    else:
        process.kill()
    await asyncio.sleep(fault.away_seconds)
    if fault.freezes:
        process.thaw()
    else:
        await what.start()
