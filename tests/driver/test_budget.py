"""A budget is checked before anything is made, and ends a size before its share is used up."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from driver import cli
from driver.clusters.cluster_record import SavedHandle, cost_so_far
from driver.errors import LimitError, UsageError
from driver.planning.budget import Budget, rest_of, within
from driver.planning.job_estimate import estimated_job_seconds, job_pace
from driver.planning.plan import Overhead, PlannedJob, make_plan, planned_jobs
from driver.planning.price import nodes_price
from driver.planning.study import Overrides, encode_study, load_study
from pullstudy.store.embedded.ledger import ClusterRow, JobRow, JobState, Ledger, Run

STUDY = load_study(None, Overrides(sizes="2,4"))


def overhead(size: int) -> Overhead:
    """As where the first size makes what the others stand on."""
    return Overhead(make_seconds=1000.0 if size == 2 else 200.0, delete_seconds=500.0)


PLAN = make_plan(STUDY, "sim", "sim-", 0.0, overhead=overhead)
EARLIER = msgspec.json.encode(SavedHandle(earlier_seconds=1800.0)).decode()


def job_row(job: PlannedJob) -> JobRow:
    return JobRow(
        job=job.name(1),
        cluster=f"sim-{job.size}",
        run="run1",
        size=job.size,
        image=job.image,
        repeat=1,
        attempt=1,
        position=job.position,
        cache_mode="cold",
        state=JobState.DONE,
    )


def test_a_plan_that_costs_more_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--budget 0\.01: this costs about"):
        Budget(amount=0.01, plan=PLAN).check()
    Budget(amount=PLAN.cost, plan=PLAN).check()


def test_twice_the_cost_buys_each_size_twice_its_time_less_making_and_deleting() -> None:
    seconds = Budget(amount=2 * PLAN.cost, plan=PLAN).seconds(4, used_seconds=900.0)
    assert seconds == pytest.approx(2 * PLAN.sizes[1].seconds - 900.0 - 500.0)


def test_what_was_spent_before_counts_and_a_resumed_sweep_has_only_the_rest() -> None:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    ended = started + timedelta(hours=1)
    rows = [
        # An hour now and half an hour before it, when a driver was killed; and one that is up.
        ClusterRow(cluster="a", run="run1", size=2, created_at=started, down_at=ended, handle=EARLIER),
        ClusterRow(cluster="b", run="run1", size=4, created_at=started),
        ClusterRow(cluster="c", run="run1", size=8),
    ]
    cost = cost_so_far(rows, lambda size: nodes_price(STUDY, size), ended)
    assert cost == pytest.approx(0.616 * (2 * 1.5 + 4))
    with pytest.raises(UsageError, match=r"4\.31 USD were spent, and the rest costs about"):
        Budget(amount=PLAN.cost, plan=PLAN, spent=cost).check()
    half = Budget(amount=PLAN.cost, plan=PLAN, spent=PLAN.cost / 2)
    assert half.seconds(4, 0.0) == pytest.approx(PLAN.sizes[1].seconds / 2 - 500.0)


def test_what_is_done_costs_nothing_more_and_what_is_made_once_is_made_again() -> None:
    jobs = planned_jobs(STUDY)
    rows = [job_row(job) for job in jobs if job.size == 2 or job.position == 32]
    rest = rest_of(PLAN, STUDY, rows)
    (size,) = rest.sizes
    assert (size.size, size.jobs, rest.pulls) == (4, 31, 124)
    assert size.overhead == Overhead(make_seconds=1000.0, delete_seconds=500.0)
    assert size.seconds == pytest.approx(
        PLAN.sizes[1].seconds + 800.0 - estimated_job_seconds(jobs[32].image, 4, job_pace(STUDY, "sim"))
    )
    assert rest.cost == pytest.approx(4 * 0.616 * size.seconds / 3600)
    assert rest_of(PLAN, STUDY, [job_row(job) for job in jobs]).cost == 0


async def test_a_size_that_used_up_its_share_is_ended_and_cleans_up() -> None:
    used_up = Budget(amount=0.0, plan=PLAN)
    cleaned: list[bool] = []

    async def work() -> None:
        async with within(used_up, 4):
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(True)

    with pytest.raises(LimitError, match="the share of 4 nodes is used up"):
        await work()
    assert cleaned


async def test_a_timeout_of_the_work_itself_stays_one() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        async with within(Budget(amount=PLAN.cost, plan=PLAN), 4):
            raise TimeoutError("its own")


async def test_what_costs_nothing_has_no_limit() -> None:
    free = msgspec.structs.replace(PLAN, cost=0.0)
    assert Budget(amount=0.0, plan=free).seconds(4, 0.0) == float("inf")
    async with within(None, 4):
        pass


def test_the_command_says_so_and_starts_nothing(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sweep", "--sizes", "4", "--budget", "0.01", "--out", f"{tmp_path}/out"]) == 2
    assert "--budget 0.01: this costs about" in capsys.readouterr().err


def test_a_resumed_sweep_is_refused_where_its_clusters_have_cost_the_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    with closing(Ledger(tmp_path, create=True)) as ledger:
        run = Run(run="run1", provider="sim", study=encode_study(STUDY), started_at=started)
        day = {"created_at": started, "down_at": started + timedelta(days=1)}
        rows = [ClusterRow(cluster=f"sim-pulling-study-{size}", run="run1", size=size, **day) for size in (2, 4)]
        ledger.begin(run, rows)
    assert cli.run(["sweep", "--resume", "--budget", "50", "--out", str(tmp_path)]) == 2
    assert "--budget 50: 88.70 USD were spent, and the rest costs about" in capsys.readouterr().err


def test_a_resumed_sweep_shows_the_plan_of_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job for job in planned_jobs(STUDY) if job.size == 2]
    with closing(Ledger(tmp_path, create=True)) as ledger:
        run = Run(run="run1", provider="sim", study=encode_study(STUDY), started_at=datetime(2026, 1, 1, tzinfo=UTC))
        sizes = [ClusterRow(cluster=f"sim-pulling-study-{size}", run="run1", size=size) for size in (2, 4)]
        ledger.begin(run, sizes)
        for job in jobs:
            ledger.put_job(job_row(job))
    assert cli.run(["sweep", "--resume", "--budget", "0.01", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert "study pulling-study on sim: 32 jobs, 128 pulls" in said
    assert "sim-pulling-study-4" in said
    assert "sim-pulling-study-2" not in said
