"""A sweep: one pass of a study over its sizes, begun or resumed, with every cluster taken down at the end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import msgspec

from driver.clusters.cluster_lifecycle import ClusterLifecycle
from driver.clusters.provider import Provider
from driver.errors import UsageError
from driver.jobs.audit import say
from driver.jobs.job_run import JobContext, JobRunner, open_runner
from driver.planning.budget import Budget, within
from driver.planning.foretelling import Foreteller
from driver.planning.plan import cluster_name, planned_jobs
from driver.planning.resume import Remaining, remaining_jobs
from driver.planning.study import OnFailure, Study, decode_study, encode_study
from driver.progress import Progress
from pullstudy.polling import Sleep
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.ledger import ClusterRow, JobRow, JobState, Ledger, Run
from pullstudy.store.protocol import AbandonedJob, RecordStore, StoreError

RUN = "run1"  # a directory holds one sweep; imports beside it have names of their own


def wall_clock() -> datetime:
    """The driver's own clock: for book-keeping."""
    return datetime.now(UTC)


class SweepResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs were done, which failed, and what the audit says."""

    done: int
    failed: list[JobRow]
    accounted: str  # the audit's words, of the whole run


def run_name(study: Study, at: datetime) -> str:
    """Of a run that begins then: in a store that other runs share it has to be no other run's."""
    return f"run-{at:%Y%m%dT%H%M%SZ}" if study.collect.shared else RUN


def begun_run(ledger: Ledger, directory: Path, *, resume: bool) -> Run | None:
    """The run that is to go on, or None where one is to begin. Raises UsageError where that is not what was asked."""
    run = ledger.swept_run()
    if run is not None and not resume:
        state = "finished" if run.finished_at else "unfinished"
        raise UsageError(
            f"{directory} already holds a sweep ({state}): add --resume to go on with it, --extend to add"
            " sizes or images to it, or give another --out"
        )
    return run


class Sweep:
    """Runs what is left of a study in one directory, which the caller has locked."""

    def __init__(
        self,
        study: Study,
        provider: Provider,
        directory: Path,
        ledger: Ledger,
        store: RecordStore,
        *,
        budget: Budget | None = None,
        note: str | None = None,
        publish_phases: Callable[[str], Awaitable[int]] | None = None,
        now: Callable[[], datetime] = wall_clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``note``: who runs it and why. ``publish_phases`` is called with each cluster that is accounted for."""
        self._study = study
        self._provider = provider
        self._foreteller = Foreteller(study, provider.name)
        self._directory = directory
        self._ledger = ledger
        self._store = store
        self._budget = budget
        self._note = note
        self._phases = publish_phases
        self._now = now
        self._sleep = sleep

    @property
    def name(self) -> str:
        """Of the run, once it has begun."""
        run = self._ledger.swept_run()
        return run.run if run else RUN

    def remaining(self) -> Remaining:
        return remaining_jobs(
            self._study,
            self.name,
            self._prefix(),
            planned_jobs(self._study),
            self._ledger.jobs(self.name),
            mark=self._mark(),
        )

    def _prefix(self) -> str:
        """Of the clusters' names: what the run began with, whatever the provider says by now."""
        begun = self._ledger.clusters(self.name)
        if not begun:
            return self._provider.prefix
        return begun[0].cluster.removesuffix(cluster_name("", self._study, begun[0].size))

    def _mark(self) -> str:
        """In the jobs' names, where jobs of several runs come to one cluster or one store."""
        run = self._ledger.swept_run() if self._provider.lasting or self._study.collect.shared else None
        return format(int(run.started_at.timestamp()), "x")[-6:] if run else ""

    async def run(self, progress: Progress) -> SweepResult:
        """Raises SweepError, StoreError, OSError; what was done until then is kept."""
        self._begin()
        lifecycle = ClusterLifecycle(
            self._provider,
            self._ledger,
            self._study,
            self._directory,
            progress,
            now=self._now,
            sleep=self._sleep,
        )
        # The last one first: what it took over from the one before is then gone with it.
        for row in reversed(self._ledger.clusters(self.name)):
            if row.alive:
                progress.note(f"{row.cluster}: was left {row.state}; taking it down")
                await lifecycle.clean_up(row)
        left = self.remaining()
        await self._abandon(left.abandoned)
        async with lifecycle.over_all_sizes():
            whole = await self._sizes(left.jobs, lifecycle, progress)
        if whole:
            self._ledger.finish_run(self.name, self._now())
        return self._outcome()

    async def _abandon(self, jobs: list[JobRow]) -> None:
        # The store first: a driver that dies between the two finds them in the ledger, and says it again.
        await self._store.abandon([AbandonedJob(cluster=job.cluster, job=job.job, at=self._now()) for job in jobs])
        for job in jobs:
            self._ledger.put_job(msgspec.structs.replace(job, state=JobState.ABANDONED))

    def _begin(self) -> None:
        run = self._ledger.swept_run()
        if run is not None:
            self._go_on(run)
            return
        at = self._now()
        run = Run(
            run=run_name(self._study, at),
            provider=self._provider.name,
            study=encode_study(self._study),
            seed=self._study.run.seed,
            started_at=at,
        )
        self._ledger.begin(run.noted(self._note), self._clusters(run.run, self._provider.prefix, self._study.sizes))

    def _go_on(self, run: Run) -> None:
        """With what the study has more than when the run was begun, or last went on."""
        known = {row.size for row in self._ledger.clusters(run.run)}
        new = [size for size in self._study.sizes if size not in known]
        same = decode_study(run.study) == self._study
        going_on = msgspec.structs.replace(
            run.noted(self._note), study=run.study if same else encode_study(self._study), finished_at=None
        )
        self._ledger.begin(going_on, self._clusters(run.run, self._prefix(), new))

    def _clusters(self, run: str, prefix: str, sizes: Iterable[int]) -> list[ClusterRow]:
        return [ClusterRow(cluster=cluster_name(prefix, self._study, size), run=run, size=size) for size in sizes]

    async def _sizes(self, jobs: list[JobRow], lifecycle: ClusterLifecycle, progress: Progress) -> bool:
        """Whether all of them were run, well or badly."""
        rows = {row.cluster: row for row in self._ledger.clusters(self.name)}
        for cluster, group in groupby(jobs, key=lambda job: job.cluster):
            go_on = await self._size(rows[cluster], list(group), lifecycle, progress)
            if not go_on:
                return False
        return True

    async def _size(self, row: ClusterRow, jobs: list[JobRow], lifecycle: ClusterLifecycle, progress: Progress) -> bool:
        began = self._now()
        progress.size_begun(row.cluster, row.size, len(jobs))

        def limit(what: str) -> AbstractAsyncContextManager[None]:
            return within(self._budget, row.size, (self._now() - began).total_seconds(), what)

        # The limits end the making and the jobs, inside: they must never cut the taking down short.
        async with lifecycle.running(row, lambda: limit("making it")) as (cluster, api), limit("jobs"):
            progress.size_started(row.cluster, row.size, len(jobs))
            context = JobContext(
                study=self._study,
                provider=self._provider,
                cluster=cluster,
                api=api,
                ledger=self._ledger,
                store=self._store,
                origin=Origin(cluster=row.cluster, run=row.run, size=row.size),
                progress=progress,
                foreteller=self._foreteller,
                sleep=self._sleep,
            )
            async with open_runner(context) as runner:
                go_on = await self._jobs(runner, jobs)
                progress.doing("listing all events once more")
                await runner.finish()
        await self._publish_phases(row.cluster, progress)
        audits = [audit for audit in self._ledger.audits(self.name) if audit.cluster == row.cluster]
        progress.size_ended(row.cluster, say(audits))
        return go_on

    async def _publish_phases(self, cluster: str, progress: Progress) -> None:
        """Nothing is lost without it: the records are stored, and phases follow from them."""
        if self._phases is None:
            return
        try:
            async with asyncio.timeout(self._study.limits.store_seconds):
                await self._phases(cluster)
        except (StoreError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            progress.note(f"{cluster}: the dashboards miss its phases: {why}")

    async def _jobs(self, runner: JobRunner, jobs: Iterable[JobRow]) -> bool:
        """Whether the sweep goes on after them."""
        todo = list(jobs)
        for number, job in enumerate(todo, start=1):
            ended = await runner.run(job, number, len(todo))
            if ended.state is JobState.FAILED and self._study.run.on_failure is OnFailure.STOP:
                return False
        return True

    def _outcome(self) -> SweepResult:
        rows = self._ledger.jobs(self.name)
        return SweepResult(
            done=sum(row.state is JobState.DONE for row in rows),
            failed=[row for row in rows if row.state is JobState.FAILED],
            accounted=say(self._ledger.audits(self.name)),
        )
