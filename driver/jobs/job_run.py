"""One attempt of one image at one size, from the look at the caches to the cleared cache after it.

Each step is in the ledger before it is taken, so that a driver that dies leaves no doubt about what may exist.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from driver.clusters.cluster_api import ClusterApi
from driver.clusters.provider import Cluster, Provider
from driver.errors import LimitError
from driver.jobs.accounting import JobAccounting
from driver.jobs.hold import hold_seconds
from driver.jobs.job import job_manifest
from driver.jobs.job_watch import JobEnd, JobWatch
from driver.jobs.node_caches import NodeCaches, say_caches
from driver.jobs.pod_status import completed_at
from driver.jobs.pull_events import watch_pull_events
from driver.planning.foretelling import Foreteller
from driver.planning.image_sizes import is_guess
from driver.planning.study import Study
from driver.progress import JobSummary, Progress
from pullstudy.kube.errors import ApiError
from pullstudy.kube.objects import Job
from pullstudy.polling import Pace, Sleep, polls
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.ledger import JobRow, JobState, Ledger
from pullstudy.store.protocol import RecordStore

PODS_GONE_PACE = Pace(0.02, 2.0, factor=1.5)
INVALID = 422
FIRST_LOOK_SECONDS = 5.0  # for lost nodes, when pods do not go; doubling


class JobContext(msgspec.Struct, frozen=True, kw_only=True):
    """What every job of one cluster is run with."""

    study: Study
    provider: Provider
    cluster: Cluster
    api: ClusterApi
    ledger: Ledger
    store: RecordStore
    origin: Origin
    progress: Progress
    foreteller: Foreteller
    sleep: Sleep = asyncio.sleep


@asynccontextmanager
async def open_runner(context: JobContext) -> AsyncIterator["JobRunner"]:
    """For all jobs of one cluster: the events of their pulls are watched meanwhile. Raises as JobRunner, ApiError."""
    async with watch_pull_events(context.api, context.origin) as pull_events:
        accounting = JobAccounting(
            context.study,
            context.api,
            context.ledger,
            context.store,
            context.origin,
            pull_events,
            note=context.progress.note,
            sleep=context.sleep,
        )
        yield JobRunner(context, accounting)


class JobRunner:
    """Runs the attempts on one cluster, one by one. Raises ApiError, LimitError, ProviderError, StoreError."""

    def __init__(self, context: JobContext, accounting: JobAccounting) -> None:
        self._context = context
        self._accounting = accounting
        self._caches = NodeCaches(
            context.study,
            context.provider,
            context.cluster,
            context.api,
            context.ledger,
            doing=context.progress.doing,
            sleep=context.sleep,
        )

    async def run(self, row: JobRow, number: int, jobs: int) -> JobRow:
        """Run the attempt to its end, good or bad, and leave the cluster ready for the next one."""
        context, record = self._context, _JobRecord(self._context.ledger, row)
        caches = await self._caches.before(row)
        self._foretell(row, caches)
        record.put(state=JobState.CREATED, hold_seconds=self._hold_seconds(row, caches))
        self._accounting.begin(row.job)
        job = await self._create(record.row)
        record.put(job_uid=job.metadata.uid, created_at=job.metadata.creation_timestamp)
        context.progress.job_started(record.row, number, jobs)
        end = await self._watch(job, row.size)
        record.put(state=JobState.COMPLETE, completed_at=completed_at(end.job), error=end.error)
        context.progress.doing("accounting for the pulls")
        account = await self._accounting.account(record.row, end, caches)
        record.put(state=JobState.FAILED if account.error else JobState.DONE, error=account.error)
        context.progress.job_ended(
            JobSummary(
                row=record.row,
                number=number,
                jobs=jobs,
                accounted=account.accounted,
                caches=say_caches(caches.values()),
                size_guessed=is_guess(context.study.images, row.image),
            )
        )
        await self._delete(row.job)
        record.put(deleted_at=context.api.server_time)
        await self._caches.after(row)
        return record.row

    async def finish(self) -> None:
        """After the last job: wait for all that any event says of the cluster's jobs. Raises ApiError, StoreError."""
        await self._accounting.finish()

    def _foretell(self, row: JobRow, caches: dict[str, CacheState]) -> None:
        """Of a job that all of its nodes have something to pull for."""
        if CacheState.WARM in caches.values():
            return
        foretold = self._context.foreteller.of(row, self._caches.held)
        if foretold is not None:
            self._context.ledger.put_foretold(foretold)

    def _hold_seconds(self, row: JobRow, caches: dict[str, CacheState]) -> int:
        """Pods live at least as long as earlier ones did only where they, too, have all of the image to pull."""
        context = self._context
        cold = set(caches.values()) == {CacheState.COLD}
        return hold_seconds(context.study, row.size, context.ledger.pod_lives(row.run, row.image) if cold else None)

    async def _create(self, row: JobRow) -> Job:
        context, hold = self._context, round(row.hold_seconds)
        manifest = job_manifest(
            context.study, row.job, row.image, row.size, context.cluster.node_selector, hold_seconds=hold
        )
        try:
            return await context.api.create_job(manifest)
        except ApiError as error:
            if hold and error.status == INVALID:
                raise LimitError(f"{error}; holding pods takes Kubernetes 1.30: set job.hold_seconds = 0") from error
            raise

    async def _watch(self, job: Job, size: int) -> JobEnd:
        context = self._context
        watch = JobWatch(
            context.api,
            context.study,
            job,
            size,
            stall_seconds=context.provider.stall_seconds,
            tell=context.progress.tally,
            sleep=context.sleep,
        )
        return await watch.run()

    async def _delete(self, job: str) -> None:
        """Delete the job, and wait for its pods to be gone."""
        await self._context.api.delete_job(job)
        limit, next_look = self._context.study.limits.pods_gone_seconds, FIRST_LOOK_SECONDS
        async for waited in polls(PODS_GONE_PACE, limit, sleep=self._context.sleep):
            if not await self._context.api.has_pods(job):
                return
            if waited >= min(next_look, limit):
                if await self._are_on_lost_nodes(job):
                    return
                next_look *= 2
        raise LimitError(f"job {job}: its pods are still there {limit:.0f} s after it was deleted")

    async def _are_on_lost_nodes(self, job: str) -> bool:
        """Nobody ends the pods of a node that is gone until it is back: that may be never, and the next job can do."""
        ready = {node.metadata.name for node in await self._context.api.nodes() if node.ready}
        nodes = {pod.spec.node_name for pod in await self._context.api.pods(job)}
        lost = nodes - ready
        if not lost or nodes & ready or None in nodes:
            return False
        names = ", ".join(sorted(str(node) for node in lost)[:3])
        self._context.progress.note(f"  {job}: pods stay on nodes that are not ready ({names}); going on without them")
        return True


class _JobRecord:
    """A job's row: what is put is in the ledger when put() returns. Raises StoreError."""

    def __init__(self, ledger: Ledger, row: JobRow) -> None:
        self._ledger = ledger
        self.row = row

    def put(self, **changes: object) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)
        self._ledger.put_job(self.row)
