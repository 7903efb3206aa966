"""A limit to what a sweep may cost, as time: each size may be up for as long as its share of the budget pays for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from driver.errors import LimitError, UsageError
from driver.plan import Plan


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """In the plan's currency, for the whole sweep; a size that is resumed has its share again."""

    amount: float
    plan: Plan
    overhead_seconds: float  # to make and delete a cluster, which is paid for too

    def check(self) -> None:
        """Raises UsageError where the plan alone costs more."""
        if self.plan.cost > self.amount:
            said = f"about {self.plan.cost:,.2f} {self.plan.currency}"
            raise UsageError(f"--budget {self.amount:g}: this costs {said}; give more, fewer sizes or fewer images")

    def seconds(self, size: int) -> float:
        """How long the jobs of a size may take before its cluster has to be deleted."""
        planned = next(each for each in self.plan.sizes if each.size == size)
        if not self.plan.cost:
            return float("inf")
        return max(0.0, planned.seconds * self.amount / self.plan.cost - self.overhead_seconds)


@asynccontextmanager
async def within(budget: Budget | None, size: int) -> AsyncIterator[None]:
    """Cancel the block when its time is over, so that it cleans up. Raises LimitError."""
    seconds = None if budget is None else budget.seconds(size)
    if budget is None or seconds is None or seconds == float("inf"):
        yield
        return
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise LimitError(
            f"--budget {budget.amount:g}: the share of {size} nodes is used up after {seconds / 60:.0f} min of jobs;"
            " its cluster is taken down, and --resume goes on with as much again"
        ) from error
