"""One attempt of one image at one size, from the look at the caches to the cleared cache after it.

Each step is in the ledger before it is taken, so that a driver that dies leaves no doubt about what may exist.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from driver.clusters.cluster_api import ClusterApi, Sleep
from driver.clusters.provider import Cluster, Provider
from driver.errors import ApiError, LimitError
from driver.jobs.audit import Place, make_audit, places, say, with_containers
from driver.jobs.drain import Drain
from driver.jobs.hold import hold_seconds
from driver.jobs.job import job_manifest
from driver.jobs.job_watch import Ending, JobEnd, JobWatch, disrupted, say_disrupted
from driver.jobs.node_caches import NodeCaches, not_cold, say_caches
from driver.jobs.witness import completed_at, nodes_shared, pod_witnesses, recovered_pulls, status_milestones
from driver.planning.study import CacheMode, Study
from driver.progress import JobSummary, Progress
from pullstudy.kube.objects import Job, Pod
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.record import WITNESS_PREFIX, PullRecord
from pullstudy.pulls.witness import PodWitness, had_its_image
from pullstudy.store.embedded.ledger import JobRow, JobState, Ledger
from pullstudy.store.protocol import RecordStore

POLL_SECONDS = 0.02
SLOWEST_POLL_SECONDS = 2.0
INVALID = 422
FIRST_LOOK_SECONDS = 5.0  # for lost nodes, when pods do not go; doubling


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What every job of one cluster is run with."""

    study: Study
    provider: Provider
    cluster: Cluster
    api: ClusterApi
    ledger: Ledger
    store: RecordStore
    origin: Origin
    progress: Progress
    sleep: Sleep = asyncio.sleep


class JobRunner:
    """Runs the attempts on one cluster, one by one. Raises ApiError, LimitError, ProviderError, StoreError."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._drain = Drain(bench.api, bench.ledger, bench.store, bench.origin, bench.study.limits, sleep=bench.sleep)
        self._caches = NodeCaches(
            bench.study, bench.provider, bench.cluster, bench.api, bench.ledger, sleep=bench.sleep
        )

    async def run(self, row: JobRow, number: int, jobs: int) -> JobRow:
        """Run the attempt to its end, good or bad, and leave the cluster ready for the next one."""
        bench = self._bench
        before = await self._caches.before(row)
        row = self._put(row, state=JobState.CREATED, hold_seconds=self._hold(row, before))
        job = await self._create(row)
        row = self._put(row, job_uid=job.metadata.uid, created_at=job.metadata.creation_timestamp)
        bench.progress.job_started(row, number, jobs)
        end = await self._watch(job, row.size)
        row = self._put(row, state=JobState.COMPLETE, completed_at=completed_at(end.job), error=end.error)
        row, accounted = await self._account(row, end, before)
        bench.progress.job_ended(
            JobSummary(row=row, number=number, jobs=jobs, accounted=accounted, caches=say_caches(before.values()))
        )
        return await self._tidy(row)

    def _hold(self, row: JobRow, before: dict[str, CacheState]) -> int:
        """Pods live at least as long as earlier ones did only where they, too, have all of the image to pull."""
        bench = self._bench
        cold = set(before.values()) == {CacheState.COLD}
        return hold_seconds(bench.study, row.size, bench.ledger.pod_lives(row.run, row.image) if cold else None)

    async def _create(self, row: JobRow) -> Job:
        bench, hold = self._bench, round(row.hold_seconds)
        manifest = job_manifest(
            bench.study, row.job, row.image, row.size, bench.cluster.node_selector, hold_seconds=hold
        )
        try:
            return await bench.api.create_job(manifest)
        except ApiError as error:
            if hold and error.status == INVALID:
                raise LimitError(f"{error}; holding pods takes Kubernetes 1.30: set job.hold_seconds = 0") from error
            raise

    async def _watch(self, job: Job, size: int) -> JobEnd:
        bench = self._bench
        watch = JobWatch(
            bench.api,
            bench.study,
            job,
            size,
            stall_seconds=bench.provider.stall_seconds,
            tell=bench.progress.tally,
            sleep=bench.sleep,
        )
        return await watch.run()

    async def _account(self, row: JobRow, end: JobEnd, before: dict[str, CacheState]) -> tuple[JobRow, str]:
        """Read the second witness, drain, recover, audit, and judge the attempt."""
        bench = self._bench
        pods = await self._last_pods(row, end)
        rows = pod_witnesses(pods, bench.origin, row.job)
        bench.ledger.put_pod_witnesses(rows)
        drained = await self._drain.job(row.job, _present(rows))
        if drained.late:
            bench.progress.note(f"  {row.job}: {drained.late} events were not stored in time and taken from the list")
        await bench.store.write(self._second_witness(row, end.job, rows, before, await self._stored(row)))
        stored = await self._stored(row)
        taken = {pod.metadata.uid for pod in disrupted(pods)}
        audit = make_audit(row, rows=rows, events=drained.told, stored=stored, taken=taken)
        bench.ledger.put_audit(audit)
        error = end.error or say_disrupted(pods) or _one_pod_a_node(pods)
        if error is None and bench.study.run.cache is CacheMode.COLD:
            error = not_cold(stored, rows, before)
        state = JobState.DONE if end.ending is Ending.COMPLETE and error is None else JobState.FAILED
        return self._put(row, state=state, error=error), say([audit])

    async def _last_pods(self, row: JobRow, end: JobEnd) -> list[Pod]:
        listed = {pod.metadata.uid: pod for pod in await self._bench.api.pods(row.job)}
        return list({**end.pods, **listed}.values())

    async def _stored(self, row: JobRow) -> list[PullRecord]:
        return await self._bench.store.job_pulls(row.cluster, row.run, row.job)

    def _second_witness(
        self,
        row: JobRow,
        job: Job,
        rows: list[PodWitness],
        before: dict[str, CacheState],
        pulls: list[PullRecord],
    ) -> Batch:
        bench = self._bench
        namespace = bench.study.cluster.namespace
        known = [(pod.pod_uid, pod.container) for pod in rows]
        stored = with_containers(pulls, known)
        told = places(pull for pull in stored if not pull.event_uid.startswith(WITNESS_PREFIX))
        return Batch(
            pulls=tuple(recovered_pulls(rows, told, before, bench.origin, namespace)),
            milestones=tuple(status_milestones(job, rows, bench.origin, namespace)),
        )

    async def _tidy(self, row: JobRow) -> JobRow:
        """Delete the job, wait for its pods to be gone, and clear the caches if the study wants them cold."""
        bench = self._bench
        await bench.api.delete_job(row.job)
        await self._wait_until_pods_gone(row.job)
        row = self._put(row, deleted_at=bench.api.server_time)
        await self._caches.after(row)
        return row

    async def _wait_until_pods_gone(self, job: str) -> None:
        limit = self._bench.study.limits.pods_gone_seconds
        pause, waited, next_look = POLL_SECONDS, 0.0, FIRST_LOOK_SECONDS
        while await self._bench.api.pods(job, limit=1):
            if waited >= min(next_look, limit):
                if await self._are_on_lost_nodes(job):
                    return
                next_look *= 2
            if waited >= limit:
                raise LimitError(f"job {job}: its pods are still there {limit:.0f} s after it was deleted")
            await self._bench.sleep(pause)
            waited += pause
            pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)

    async def _are_on_lost_nodes(self, job: str) -> bool:
        """Nobody ends the pods of a node that is gone until it is back: that may be never, and the next job can do."""
        ready = {node.metadata.name for node in await self._bench.api.nodes() if node.ready}
        places = {pod.spec.node_name for pod in await self._bench.api.pods(job)}
        lost = places - ready
        if not lost or places & ready or None in places:
            return False
        names = ", ".join(sorted(str(node) for node in lost)[:3])
        self._bench.progress.note(f"  {job}: pods stay on nodes that are not ready ({names}); going on without them")
        return True

    def _put(self, row: JobRow, **changes: object) -> JobRow:
        changed: JobRow = msgspec.structs.replace(row, **changes)
        self._bench.ledger.put_job(changed)
        return changed


def _present(rows: Iterable[PodWitness]) -> set[Place]:
    return {(row.pod_uid, row.container) for row in rows if had_its_image(row)}


def _one_pod_a_node(pods: Iterable[Pod]) -> str | None:
    shared = nodes_shared(pods)
    if not shared:
        return None
    more = f", and so did {len(shared) - 1} more" if len(shared) > 1 else ""
    # The scheduler forgets pods that are over, and with them that their node is taken.
    return f"not one pod a node: {shared[0]} ran two{more}; a longer job.hold_seconds keeps pods apart"
