"""One attempt of one image at one size, from the look at the caches to the cleared cache after it.

Each step is in the ledger before it is taken, so that a driver that dies leaves no doubt about what may exist.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from driver.audit import Place, make_audit, places, say, with_containers
from driver.cache import cache_state, cached_names, canonical, holding, wait_until_cleared
from driver.cluster_api import ClusterApi, Sleep
from driver.drain import Drain
from driver.errors import LimitError
from driver.job import job_manifest
from driver.job_watch import Ending, JobEnd, JobWatch
from driver.objects import Job, Node, Pod
from driver.progress import JobSummary, Progress
from driver.provider import Cluster, Provider
from driver.study import CacheMode, Study
from driver.witness import (
    completed_at,
    nodes_shared,
    pod_witnesses,
    recovered_pulls,
    status_milestones,
)
from pulls.batch import Batch
from pulls.cache import CacheState
from pulls.decode import Origin
from pulls.image import ImageReference
from pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pulls.witness import PodWitness, had_its_image
from store.ledger import JobRow, JobState, Ledger, NodeCache
from store.protocol import RecordStore

POLL_SECONDS = 0.02
SLOWEST_POLL_SECONDS = 2.0


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
        self._nodes: tuple[Node, ...] | None = None  # as they were after the last job, or not looked at yet
        self._gone: dict[str, frozenset[str]] = {}  # canonical image -> nodes whose runtime said that it has it no more
        self._layers = lru_cache(maxsize=4096)(self._known_layers)

    async def run(self, row: JobRow, number: int, jobs: int) -> JobRow:
        """Run the attempt to its end, good or bad, and leave the cluster ready for the next one."""
        bench = self._bench
        if self._nodes is None and bench.study.run.cache is CacheMode.COLD:
            await self._clear_leftovers()
        before = await self._look_at_caches(row)
        row = self._put(row, state=JobState.CREATED)
        manifest = job_manifest(bench.study, row.job, row.image, row.size, bench.cluster.node_selector)
        self._gone.pop(canonical(row.image), None)
        job = await bench.api.create_job(manifest)
        row = self._put(row, job_uid=job.metadata.uid, created_at=job.metadata.creation_timestamp)
        bench.progress.job_started(row, number, jobs)
        end = await self._watch(job, row.size)
        row = self._put(row, state=JobState.COMPLETE, completed_at=completed_at(end.job), error=end.error)
        row, accounted = await self._account(row, end, before)
        bench.progress.job_ended(
            JobSummary(row=row, number=number, jobs=jobs, accounted=accounted, caches=_say_caches(before.values()))
        )
        return await self._tidy(row)

    async def _look_at_caches(self, row: JobRow) -> dict[str, CacheState]:
        if self._nodes is None:
            self._nodes = await self._bench.api.nodes()
        found = {
            node.metadata.name: cache_state(row.image, self._names(node), self._layers)
            for node in self._nodes
            if node.takes(self._bench.study.job.tolerations) and node.ready
        }
        self._bench.ledger.put_node_caches(
            NodeCache(cluster=row.cluster, job=row.job, node=node, cache=cache) for node, cache in found.items()
        )
        return found

    def _names(self, node: Node) -> set[str]:
        """What the node's list has, less what its runtime has removed since: the list is told late."""
        gone = {name for name, nodes in self._gone.items() if node.metadata.name in nodes}
        return cached_names(node, gone)

    async def _clear_leftovers(self) -> None:
        """A cluster that was there before may hold the study's images."""
        images = self._bench.study.images.references
        self._nodes = await self._bench.api.nodes()
        if holding(self._nodes, images):
            await self._clear(images)

    async def _clear(self, images: tuple[str, ...]) -> None:
        bench = self._bench
        cleared = await bench.provider.clear_cache(bench.cluster, images) or frozenset()
        self._gone |= {canonical(image): cleared for image in images}
        self._nodes = await wait_until_cleared(
            bench.api,
            images,
            limit_seconds=min(bench.study.limits.cache_clear_seconds, bench.provider.stall_seconds or math.inf),
            cleared=cleared,
            sleep=bench.sleep,
        )

    def _known_layers(self, image: ImageReference) -> frozenset[str]:
        return self._bench.ledger.layer_digests(image.repository, image.tag or "")

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
        audit = make_audit(row, rows=rows, events=drained.told, stored=stored)
        bench.ledger.put_audit(audit)
        error = end.error or _one_pod_a_node(pods)
        if error is None and bench.study.run.cache is CacheMode.COLD:
            error = _not_cold(stored, rows, before)
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
        self._nodes = None
        if bench.study.run.cache is CacheMode.COLD:
            await self._clear((row.image,))
        return row

    async def _wait_until_pods_gone(self, job: str) -> None:
        limit = self._bench.study.limits.pods_gone_seconds
        pause, waited = POLL_SECONDS, 0.0
        while await self._bench.api.pods(job, limit=1):
            if waited >= limit:
                raise LimitError(f"job {job}: its pods are still there {limit:.0f} s after it was deleted")
            await self._bench.sleep(pause)
            waited += pause
            pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)

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
    return f"not one pod a node: {shared[0]} ran two{more}"


def _not_cold(stored: Iterable[PullRecord], rows: list[PodWitness], before: Mapping[str, CacheState]) -> str | None:
    """A repeat that was to be cold is none where a node had its image: it says so, and how that is known.

    A pod that follows a failed one on its node finds what that one pulled, which is no warm start.
    """
    node_of = {row.pod_uid: row.node for row in rows}
    told: dict[Outcome, set[str]] = {outcome: set() for outcome in Outcome}
    for pull in stored:
        told[pull.outcome].add(pull.node or node_of.get(pull.pod_uid or "") or "unknown")
    listed = {node for node, state in before.items() if state is CacheState.WARM}
    warm = sorted(told[Outcome.CACHED] - told[Outcome.PULLED] | listed)
    if not warm:
        return None
    more = f" and {len(warm) - 1} more" if len(warm) > 1 else ""
    return f"not cold: {warm[0]}{more} had the image already"


def _say_caches(states: Iterable[CacheState]) -> str:
    counts = Counter(states)
    if len(counts) == 1:
        return next(iter(counts)).value
    return " and ".join(f"{count} {state.value}" for state, count in sorted(counts.items()))
