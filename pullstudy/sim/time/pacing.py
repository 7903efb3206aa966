"""What drives the virtual clock: as fast as the watchers take what is sent, or at a fixed speed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pullstudy.sim.time.clock import Urgency, VirtualClock

BATCH_ACTIONS = 256  # actions between two looks at the sockets: small enough for a quick answer to a request
PATIENCE_SECONDS = 0.05  # real: how long clients may think before time jumps to a retry or a deadline
LONGEST_SLEEP_SECONDS = 3600.0


class Pacer:
    """Runs the clock. ``speed`` is virtual seconds a real second, or None for as fast as possible."""

    def __init__(
        self,
        clock: VirtualClock,
        speed: float | None,
        keep_up: Callable[[], Awaitable[None]],
        settle: Callable[[], None],
        patience_seconds: float = PATIENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``keep_up`` returns when no watcher is far behind; ``settle`` publishes what lags when all is quiet."""
        self._clock = clock
        self._speed = speed
        self._keep_up = keep_up
        self._settle = settle
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._quiet_since = monotonic()
        self._origin: tuple[float, float] | None = None  # real and virtual, where a fixed speed began
        self._changed = asyncio.Event()
        clock.on_change = self._changed.set

    @property
    def speed(self) -> float | None:
        return self._speed

    @property
    def idle(self) -> bool:
        """Nothing is under way that would make time run."""
        return self._clock.next_at(Urgency.FOREGROUND) is None and self._clock.next_at(Urgency.PATIENT) is None

    def touch(self, writes: bool) -> None:
        """A client asks. One that writes is at work: patience starts anew. One that reads may be polling."""
        if self._origin is not None:
            self._catch_up()
        if writes:
            self._quiet_since = self._monotonic()
            self._changed.set()

    async def run(self) -> None:
        """For ever, until cancelled."""
        await (self._run_flat_out() if self._speed is None else self._run_at(self._speed))

    async def _run_flat_out(self) -> None:
        while True:
            if self._clock.next_at(Urgency.FOREGROUND) is not None:
                self._run_batch()
                await asyncio.sleep(0)
                await self._keep_up()
                self._quiet_since = self._monotonic()
            else:
                self._settle()
                await self._wait_quietly()

    def _run_batch(self) -> None:
        for _ in range(BATCH_ACTIONS):
            horizon = self._clock.next_at(Urgency.FOREGROUND)
            if horizon is None:
                return
            self._clock.run_next(horizon)

    async def _wait_quietly(self) -> None:
        patient = self._clock.next_at(Urgency.PATIENT)
        left = self._quiet_since + self._patience_seconds - self._monotonic()
        if patient is not None and left <= 0:
            self._clock.run_until(patient)
            return
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), None if patient is None else left)

    async def _run_at(self, speed: float) -> None:
        self._origin = (self._monotonic(), self._clock.now)
        while True:
            self._catch_up()
            await self._keep_up()
            due = self._clock.next_of_any()
            pause = LONGEST_SLEEP_SECONDS if due is None else (due - self._target()) / speed
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, min(pause, LONGEST_SLEEP_SECONDS)))

    def _target(self) -> float:
        """Where virtual time ought to be now."""
        assert self._origin is not None
        assert self._speed is not None
        real, virtual = self._origin
        return virtual + (self._monotonic() - real) * self._speed

    def _catch_up(self) -> None:
        self._clock.run_until(max(self._clock.now, self._target()))
