"""One cluster from nothing to nothing: up, watched by a collector, its jobs, and down again whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from driver.clusters.child import end_stranger
from driver.clusters.cluster_api import ClusterApi, Sleep, open_cluster
from driver.clusters.collecting import Collector
from driver.clusters.environment import read_environment
from driver.clusters.provider import Cluster, ClusterOrder, Handle, Provider, Successive
from driver.clusters.snapshot import save_nodes
from driver.errors import LimitError, ProviderError, first_error
from driver.planning.study import Study
from driver.progress import Progress
from pullstudy.store.embedded.ledger import ClusterRow, ClusterState, Ledger
from pullstudy.store.protocol import StoreError

POLL_SECONDS = 0.05
SLOWEST_POLL_SECONDS = 5.0
STRANGER_GRACE_SECONDS = 30.0  # a collector whose driver died drains before it ends


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """All that a later process needs to take a cluster and its collector down: the ledger's ``handle``."""

    provider: Handle = {}
    collector_pid: int | None = None
    earlier_seconds: float = 0.0  # for which clusters of this name were up before this one: they were paid for


class ClusterKeeper:
    """Makes the clusters of a run and takes them down, with each step in the ledger before it is taken."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        study: Study,
        directory: Path,
        progress: Progress,
        *,
        now: Callable[[], datetime],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._study = study
        self._directory = directory
        self._progress = progress
        self._now = now
        self._sleep = sleep
        self._emptied: _Kept | None = None  # the size before, what of it is kept for the next one

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Around all sizes: what one left for the next is taken down where no next one takes it. Raises as running."""
        try:
            yield
        finally:
            if self._emptied is not None:
                await _whole(self._down(self._emptied))

    @asynccontextmanager
    async def running(
        self, row: ClusterRow, making: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> AsyncIterator[tuple[Cluster, ClusterApi]]:
        """The cluster, up and watched by its collector. On leaving, however that comes about, it is taken down.

        What may take long before its jobs is done inside ``making``, which may cancel it.
        Raises ProviderError, CollectorError, ApiError, LimitError; also when cluster or collector die meanwhile.
        """
        state = _Kept(self._ledger, row)
        collector: Collector | None = None
        leave = self._down
        try:
            async with making():
                cluster = await self._up(state)
            with first_error():
                async with asyncio.TaskGroup() as guards, self._api(cluster) as api:
                    watching = [guards.create_task(self._provider.lost(cluster))]
                    async with making():
                        await self._wait_for_nodes(api, cluster)
                    collector = self._collector(cluster, state)
                    await collector.start()
                    watching.append(guards.create_task(collector.keep()))
                    await self._describe(api, cluster, state)
                    state.put(state=ClusterState.UP, up_at=self._now())
                    yield cluster, api
                    for guard in watching:
                        guard.cancel()
            leave = self._empty
        finally:
            try:
                if collector is not None:
                    await collector.stop()
            finally:
                await _whole(leave(state))

    async def clean_up(self, row: ClusterRow) -> None:
        """Take down what an earlier driver left. Raises ProviderError."""
        state = _Kept(self._ledger, row)
        if state.leftovers.collector_pid is not None:
            marks = ("collector", row.cluster)
            await end_stranger(state.leftovers.collector_pid, marks, grace_seconds=STRANGER_GRACE_SECONDS)
        await _whole(self._down(state))

    def _api(self, cluster: Cluster) -> AbstractAsyncContextManager[ClusterApi]:
        return open_cluster(cluster.kubeconfig, self._study.cluster.namespace, node_selector=cluster.node_selector)

    async def _up(self, state: "_Kept") -> Cluster:
        row, before = state.row, self._emptied
        state.keep(earlier_seconds=state.leftovers.earlier_seconds + _seconds_up(row))
        state.put(state=ClusterState.CREATING, created_at=self._now(), up_at=None, down_at=None)
        order = ClusterOrder(
            name=row.cluster,
            size=row.size,
            study=self._study,
            directory=self._directory,
            previous=state.leftovers.provider or None,
            base=before.leftovers.provider if before else None,
        )

        def save(handle: Handle) -> None:
            state.keep(provider=handle)
            if self._emptied is not None:  # from now on it is found under the new name
                self._emptied.put(state=ClusterState.DOWN, down_at=self._now())
                self._emptied = None

        return await self._provider.up(order, save)

    async def _empty(self, state: "_Kept") -> None:
        """Leave a size that went well: its nodes go, and the rest where no other size can use it."""
        if isinstance(self._provider, Successive):
            self._try_put(state, state=ClusterState.DELETING)
            try:
                if await self._provider.empty(state.row.cluster, state.leftovers.provider):
                    self._emptied = state
                    return
            except ProviderError as error:
                self._progress.note(f"{error}; all of {state.row.cluster} is taken down")
        await self._down(state)

    async def _down(self, state: "_Kept") -> None:
        self._try_put(state, state=ClusterState.DELETING)
        await self._provider.down(state.row.cluster, state.leftovers.provider)
        self._try_put(state, state=ClusterState.DOWN, down_at=self._now())

    def _try_put(self, kept: "_Kept", **changes: object) -> None:
        # A full disk is no reason to leave a cluster up: the next driver reads an older state and takes it down again.
        try:
            kept.put(**changes)
        except StoreError as error:
            self._progress.note(f"{kept.row.cluster} is taken down, but that could not be written: {error}")

    def _collector(self, cluster: Cluster, state: "_Kept") -> Collector:
        return Collector(
            cluster,
            state.row.run,
            self._directory,
            destination=self._study.collect,
            save_pid=lambda pid: state.keep(collector_pid=pid),
            note=self._progress.note,
            sleep=self._sleep,
        )

    async def _wait_for_nodes(self, api: ClusterApi, cluster: Cluster) -> None:
        limit = self._study.limits.nodes_ready_seconds
        pause, waited = POLL_SECONDS, 0.0
        while True:
            nodes = [node for node in await api.nodes() if node.takes(self._study.job.tolerations)]
            ready = sum(node.ready for node in nodes)
            if ready == len(nodes) == cluster.size:
                return
            if waited >= limit:
                raise LimitError(
                    f"{cluster.name}: {ready} of {len(nodes)} nodes ready after {limit:.0f} s; wanted: {cluster.size}"
                )
            await self._sleep(pause)
            waited += pause
            pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)

    async def _describe(self, api: ClusterApi, cluster: Cluster, state: "_Kept") -> None:
        nodes_json = await api.nodes_json()
        save_nodes(self._directory, cluster.name, nodes_json)
        environment = await read_environment(api, nodes_json, await self._provider.environment(cluster))
        state.put(environment=msgspec.json.encode(environment).decode())


def _seconds_up(row: ClusterRow) -> float:
    return (row.down_at - row.created_at).total_seconds() if row.created_at and row.down_at else 0.0


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Do the work to its end also where we are cancelled meanwhile: half a deletion leaves what has to be paid for."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise


class _Kept:
    """A cluster's row: what is put is in the ledger when put() returns."""

    def __init__(self, ledger: Ledger, row: ClusterRow) -> None:
        self._ledger = ledger
        self.row = row
        self.leftovers = msgspec.json.decode(row.handle, type=Leftovers) if row.handle else Leftovers()

    def put(self, **changes: object) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)
        self._ledger.put_cluster(self.row)

    def keep(self, **changes: object) -> None:
        self.leftovers = msgspec.structs.replace(self.leftovers, **changes)
        self.put(handle=msgspec.json.encode(self.leftovers).decode())
