"""A limit to what a sweep may cost, as time: each size may be up for as long as its share of the budget pays for.

What earlier attempts of the same sweep cost counts: a budget is of the sweep, not of a command.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from driver.errors import LimitError, UsageError
from driver.planning.job_estimate import estimated_job_seconds, job_pace
from driver.planning.plan import Overhead, Plan, SizePlan, planned_jobs
from driver.planning.resume import done_jobs, key
from driver.planning.study import Study
from pullstudy.store.embedded.ledger import JobRow


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """In the plan's currency, for the whole sweep. ``plan`` is of what is left to do, ``spent`` for what was done."""

    amount: float
    plan: Plan
    spent: float = 0.0

    def check(self) -> None:
        """Raises UsageError where the plan alone costs more than there is."""
        if self.spent + self.plan.cost > self.amount:
            currency = self.plan.currency
            said = f"this costs about {self.plan.cost:,.2f} {currency}"
            if self.spent:
                said = f"{self.spent:,.2f} {currency} were spent, and the rest costs about {self.plan.cost:,.2f}"
            raise UsageError(f"--budget {self.amount:g}: {said}; give more, fewer sizes or fewer images")

    def seconds(self, size: int, used_seconds: float) -> float:
        """How long the jobs of a size may take, ``used_seconds`` after its cluster was begun."""
        if not self.plan.cost:
            return float("inf")
        planned = next(each for each in self.plan.sizes if each.size == size)
        share = planned.seconds * (self.amount - self.spent) / self.plan.cost
        return max(0.0, share - used_seconds - planned.overhead.delete_seconds)


@asynccontextmanager
async def within(
    budget: Budget | None, size: int, used_seconds: float = 0.0, what: str = "jobs"
) -> AsyncIterator[None]:
    """Cancel the block when its time is over, so that it cleans up. ``what`` it does. Raises LimitError."""
    seconds = None if budget is None else budget.seconds(size, used_seconds)
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
            f"--budget {budget.amount:g}: the share of {size} nodes is used up after {seconds / 60:.0f} min of {what};"
            " its cluster is taken down; --resume goes on with what the budget still has, or with a larger one"
        ) from error


def rest_of(plan: Plan, study: Study, rows: Iterable[JobRow]) -> Plan:
    """The plan of the jobs that are not done by the ledger; what is made once is made again for the first size."""
    done = done_jobs(rows)
    pace = job_pace(study, plan.provider)
    left: dict[int, list[float]] = defaultdict(list)
    for job in planned_jobs(study):
        if key(job) not in done:
            left[job.size].append(estimated_job_seconds(job.image, job.size, pace))
    sizes = [size for size in plan.sizes if size.size in left]
    rest = []
    for size in sizes:
        overhead = Overhead(
            make_seconds=(plan.sizes[0] if size is sizes[0] else size).overhead.make_seconds,
            delete_seconds=(plan.sizes[-1] if size is sizes[-1] else size).overhead.delete_seconds,
        )
        rest.append(_with_jobs(size, left[size.size], overhead))
    return msgspec.structs.replace(
        plan,
        sizes=tuple(rest),
        **{name: sum(getattr(size, name) for size in rest) for name in ("jobs", "pulls", "seconds", "cost")},
    )


def _with_jobs(size: SizePlan, jobs: list[float], overhead: Overhead) -> SizePlan:
    seconds = overhead.make_seconds + sum(jobs) + overhead.delete_seconds
    cost = size.cost * seconds / size.seconds if size.seconds else 0.0
    return msgspec.structs.replace(
        size, jobs=len(jobs), pulls=len(jobs) * size.size, seconds=seconds, cost=cost, overhead=overhead
    )
