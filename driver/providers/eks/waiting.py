"""Waiting for AWS: looks at something again and again, within a limit."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from driver.errors import ProviderError
from driver.planning.eks_plan import Patience
from pullstudy.polling import Sleep, every, polls

T = TypeVar("T")


class EksWaiting:
    """``now`` is the driver's clock, against which a handle's ``announced_at`` is held."""

    def __init__(self, patience: Patience, *, now: Callable[[], datetime], sleep: Sleep) -> None:
        self.patience = patience
        self.now = now
        self.sleep = sleep

    async def until(self, look: Callable[[], Awaitable[T | None]], what: str, limit_seconds: float) -> T:
        """What ``look`` finds at last. Raises ProviderError where it finds nothing within the limit."""
        async for _ in polls(every(self.patience.poll_seconds), limit_seconds, sleep=self.sleep):
            found = await look()
            if found is not None:
                return found
        raise ProviderError(f"{what} took longer than {limit_seconds:.0f} s")

    def settling(self) -> AsyncIterator[float]:
        """For as long as what was just made may not be known everywhere: the seconds waited at each look."""
        return polls(every(self.patience.poll_seconds), self.patience.settle_seconds, sleep=self.sleep)

    async def settled(self, look: Callable[[], Awaitable[T | None]], asked_at: datetime) -> T | None:
        """What ``look`` finds; None is only believed once the settling time since ``asked_at`` is over.

        AWS answers "not found" for a while after something was asked for, and a killed driver's last call may still be
        on its way.
        """
        while True:
            found = await look()
            if found is not None or self._age(asked_at) >= self.patience.settle_seconds:
                return found
            await self.sleep(min(self.patience.poll_seconds, self.patience.settle_seconds))

    def _age(self, at: datetime) -> float:
        # A clock that was set back makes an age negative: the settling time is then waited from now on, at most twice.
        return (self.now() - at).total_seconds()
