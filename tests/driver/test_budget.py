"""A budget is checked before anything is made, and ends a size before its share is used up."""

import asyncio

import msgspec
import pytest

from driver import cli
from driver.budget import Budget, within
from driver.errors import LimitError, UsageError
from driver.plan import make_plan
from driver.study import Overrides, load_study

PLAN = make_plan(load_study(None, Overrides(sizes="2,4")), "sim", "sim-", 1500.0)


def test_a_plan_that_costs_more_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--budget 0\.01: this costs about"):
        Budget(amount=0.01, plan=PLAN, overhead_seconds=1500.0).check()
    Budget(amount=PLAN.cost, plan=PLAN, overhead_seconds=1500.0).check()


def test_twice_the_cost_buys_each_size_twice_its_time_less_making_and_deleting() -> None:
    seconds = Budget(amount=2 * PLAN.cost, plan=PLAN, overhead_seconds=1500.0).seconds(4)
    assert seconds == pytest.approx(2 * PLAN.sizes[1].seconds - 1500.0)


async def test_a_size_that_used_up_its_share_is_ended_and_cleans_up() -> None:
    spent = Budget(amount=0.0, plan=PLAN, overhead_seconds=1500.0)
    cleaned: list[bool] = []

    async def work() -> None:
        async with within(spent, 4):
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(True)

    with pytest.raises(LimitError, match="the share of 4 nodes is used up"):
        await work()
    assert cleaned


async def test_a_timeout_of_the_work_itself_stays_one() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        async with within(Budget(amount=PLAN.cost, plan=PLAN, overhead_seconds=1500.0), 4):
            raise TimeoutError("its own")


async def test_what_costs_nothing_has_no_limit() -> None:
    free = msgspec.structs.replace(PLAN, cost=0.0)
    assert Budget(amount=0.0, plan=free, overhead_seconds=0.0).seconds(4) == float("inf")
    async with within(None, 4):
        pass


def test_the_command_says_so_and_starts_nothing(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sweep", "--sizes", "4", "--budget", "0.01", "--out", f"{tmp_path}/out"]) == 2
    assert "--budget 0.01: this costs about" in capsys.readouterr().err
