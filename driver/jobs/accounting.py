"""The account of a job that is over: each pull that it must have made, by events, by pod status, and in the store."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from driver.clusters.cluster_api import ClusterApi
from driver.jobs.audit import make_audit, places, say, with_containers
from driver.jobs.drain import Drain
from driver.jobs.job_watch import JobEnd, disrupted, say_disrupted
from driver.jobs.node_caches import not_cold
from driver.jobs.pod_status import nodes_shared, pod_witnesses, recovered_pulls, status_milestones
from driver.jobs.pull_events import PullEvents
from driver.planning.study import CacheMode, Study
from pullstudy.kube.objects import Job
from pullstudy.polling import Sleep
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.record import WITNESS_PREFIX, PullRecord
from pullstudy.pulls.witness import PodWitness, had_its_image
from pullstudy.store.embedded.ledger import JobRow, Ledger
from pullstudy.store.protocol import RecordStore


class JobAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Of one job."""

    accounted: str  # the audit's words
    error: str | None  # why the attempt failed, or is no clean repeat though the job completed


class JobAccounting:
    """Of the jobs of one cluster, one by one. Raises ApiError, StoreError."""

    def __init__(
        self,
        study: Study,
        api: ClusterApi,
        ledger: Ledger,
        store: RecordStore,
        origin: Origin,
        events: PullEvents,
        *,
        note: Callable[[str], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._cold = study.run.cache is CacheMode.COLD
        self._namespace = study.cluster.namespace
        self._api = api
        self._ledger = ledger
        self._store = store
        self._origin = origin
        self._events = events
        self._note = note
        self._drain = Drain(api, ledger, store, origin, study.limits, events, sleep=sleep)

    def begin(self, job: str) -> None:
        """Before the job is created: its events are collected from now on."""
        self._events.begin(job)

    async def account(self, row: JobRow, end: JobEnd, caches: Mapping[str, CacheState]) -> JobAccount:
        """Read the pods' status, which goes with them, wait for the events, recover what only status proves, and audit.

        ``caches`` is what each node held of the image before the job.
        """
        pods = await self._last_pods(row.job, end)
        statuses = pod_witnesses(pods, self._origin, row.job)
        self._ledger.put_pod_witnesses(statuses)
        drained = await self._drain.job(row.job, {(s.pod_uid, s.container) for s in statuses if had_its_image(s)})
        self._note_late(f"  {row.job}", drained.late)
        await self._store.write(self._recovered(end.job, statuses, caches, await self._stored(row)))
        stored = await self._stored(row)
        taken = {pod.metadata.uid for pod in disrupted(pods)}
        audit = make_audit(row, rows=statuses, events=drained.pulls, stored=stored, taken=taken)
        self._ledger.put_audit(audit)
        error = end.error or say_disrupted(pods) or _one_pod_a_node(pods)
        if error is None and self._cold:
            error = not_cold(stored, statuses, caches)
        return JobAccount(accounted=say([audit]), error=error)

    async def finish(self) -> None:
        """After the last job: wait for all that any event says of the cluster's jobs."""
        self._note_late(self._origin.cluster, await self._drain.cluster())

    async def _last_pods(self, job: str, end: JobEnd) -> list[Pod]:
        listed = {pod.metadata.uid: pod for pod in await self._api.pods(job)}
        return list({**end.pods, **listed}.values())

    async def _stored(self, row: JobRow) -> list[PullRecord]:
        return await self._store.job_pulls(row.cluster, row.run, row.job)

    def _recovered(
        self, job: Job, statuses: list[PodWitness], caches: Mapping[str, CacheState], pulls: list[PullRecord]
    ) -> Batch:
        """What status says and no event did: pulls, and the moments of job and pods."""
        stored = with_containers(pulls, [(status.pod_uid, status.container) for status in statuses])
        by_event = places(pull for pull in stored if not pull.event_uid.startswith(WITNESS_PREFIX))
        return Batch(
            pulls=tuple(recovered_pulls(statuses, by_event, caches, self._origin, self._namespace)),
            milestones=tuple(status_milestones(job, statuses, self._origin, self._namespace)),
        )

    def _note_late(self, what: str, late: int) -> None:
        if late:
            self._note(f"{what}: {late} events were not stored in time and taken from the API server")


def _one_pod_a_node(pods: Iterable[Pod]) -> str | None:
    shared = nodes_shared(pods)
    if not shared:
        return None
    more = f", and so did {len(shared) - 1} more" if len(shared) > 1 else ""
    # The scheduler forgets pods that are over, and with them that their node is taken.
    return f"not one pod a node: {shared[0]} ran two{more}; a longer job.hold_seconds keeps pods apart"
