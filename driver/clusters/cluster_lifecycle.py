"""One cluster from nothing to nothing: up, watched by a collector, its jobs, and down again whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from driver.child_process import end_stranger
from driver.clusters.cluster_api import ClusterApi, open_cluster
from driver.clusters.cluster_record import ClusterRecord
from driver.clusters.collecting import Collector
from driver.clusters.environment import node_rows, read_environment
from driver.clusters.provider import Cluster, ClusterOrder, Handle, Provider, ReusesClusters, SendsSpans
from driver.errors import LimitError, ProviderError, first_error
from driver.planning.study import Study
from driver.progress import Progress, say_seconds
from pullstudy.atomic_file import write_file
from pullstudy.extras import MissingExtraError, require
from pullstudy.polling import Pace, Sleep, polls
from pullstudy.store.embedded.ledger import ClusterRow, ClusterState, Ledger
from pullstudy.store.protocol import StoreError

NODES_PACE = Pace(0.05, 5.0, factor=1.5)
STRANGER_GRACE_SECONDS = 30.0  # a collector whose driver died drains before it ends


class ClusterLifecycle:
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
        self._reusable: ClusterRecord | None = None  # the size before, what of it is kept for the next one

    @asynccontextmanager
    async def over_all_sizes(self) -> AsyncIterator[None]:
        """Around all sizes: what one left for the next is taken down where no next one takes it. Raises as running."""
        try:
            yield
        finally:
            if self._reusable is not None:
                await _whole(self._down(self._reusable))

    @asynccontextmanager
    async def running(
        self, row: ClusterRow, making: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> AsyncIterator[tuple[Cluster, ClusterApi]]:
        """The cluster, up and watched by its collector. On leaving, however that comes about, it is taken down.

        What may take long before its jobs is done inside ``making``, which may cancel it.
        Raises ProviderError, CollectorProcessError, ApiError, LimitError; also when cluster or collector die meanwhile.
        """
        state = ClusterRecord(self._ledger, row)
        collector: Collector | None = None
        leave = self._down
        try:
            async with making():
                self._progress.doing("making the cluster")
                cluster = await self._up(state)
            with first_error():
                async with asyncio.TaskGroup() as guards, self._api(cluster) as api:
                    watching = [guards.create_task(self._provider.lost(cluster))]
                    async with making():
                        await self._wait_for_nodes(api, cluster)
                    await self._see_to_namespace(api)
                    self._progress.doing("starting the collector")
                    collector = self._collector(cluster, state)
                    await collector.start()
                    watching.append(guards.create_task(collector.keep()))
                    await self._describe(api, cluster, state)
                    state.put(state=ClusterState.UP, up_at=self._now())
                    yield cluster, api
                    if self._sender is not None:
                        await self._sender.spans_sent(cluster)
                    for guard in watching:
                        guard.cancel()
            leave = self._empty
        finally:
            try:
                if collector is not None:
                    self._progress.doing("ending the collector")
                    await collector.stop()
            finally:
                await _whole(leave(state))

    async def clean_up(self, row: ClusterRow) -> None:
        """Take down what an earlier driver left. Raises ProviderError."""
        state = ClusterRecord(self._ledger, row)
        if state.handle.collector_pid is not None:
            marks = ("collector", row.cluster)
            await end_stranger(state.handle.collector_pid, marks, grace_seconds=STRANGER_GRACE_SECONDS)
        await _whole(self._down(state))

    def _api(self, cluster: Cluster) -> AbstractAsyncContextManager[ClusterApi]:
        return open_cluster(
            cluster.kubeconfig,
            self._study.cluster.namespace,
            node_selector=cluster.node_selector,
            patience_seconds=self._study.limits.api_seconds,
            note=self._progress.note,
        )

    async def _up(self, state: ClusterRecord) -> Cluster:
        row, before = state.row, self._reusable
        state.put_creating(self._now())
        order = ClusterOrder(
            name=row.cluster,
            size=row.size,
            study=self._study,
            directory=self._directory,
            previous=state.handle.provider or None,
            base=before.handle.provider if before else None,
        )

        def save(handle: Handle) -> None:
            state.put_handle(provider=handle)
            if self._reusable is not None:  # from now on it is found under the new name
                self._reusable.put(state=ClusterState.DOWN, down_at=self._now())
                self._reusable = None

        return await self._provider.up(order, save)

    async def _empty(self, state: ClusterRecord) -> None:
        """Leave a size that went well: its nodes go, and the rest where no other size can use it."""
        self._progress.doing("taking the cluster down")
        if isinstance(self._provider, ReusesClusters):
            self._try_put(state, state=ClusterState.DELETING)
            try:
                if await self._provider.empty(state.row.cluster, state.handle.provider):
                    self._reusable = state
                    return
            except ProviderError as error:
                self._progress.note(f"{error}; all of {state.row.cluster} is taken down")
        await self._down(state)

    async def _down(self, state: ClusterRecord) -> None:
        self._progress.doing("taking the cluster down")
        self._try_put(state, state=ClusterState.DELETING)
        await self._provider.down(state.row.cluster, state.handle.provider)
        self._try_put(state, state=ClusterState.DOWN, down_at=self._now())

    def _try_put(self, kept: ClusterRecord, **changes: object) -> None:
        # A full disk is no reason to leave a cluster up: the next driver reads an older state and takes it down again.
        try:
            kept.put(**changes)
        except StoreError as error:
            self._progress.note(f"{kept.row.cluster} is taken down, but that could not be written: {error}")

    @cached_property
    def _sender(self) -> SendsSpans | None:
        """The provider, where its nodes are to send spans."""
        provider = self._provider
        if not isinstance(provider, SendsSpans) or not provider.sends_spans(self._study):
            return None
        try:
            require("opentelemetry.proto", "otlp")
        except MissingExtraError as error:
            self._progress.note(f"stages are left out: {error}")
            return None
        return provider

    def _collector(self, cluster: Cluster, state: ClusterRecord) -> Collector:
        sender = self._sender
        return Collector(
            cluster,
            state.row.run,
            self._directory,
            destination=self._study.collect,
            save_pid=lambda pid: state.put_handle(collector_pid=pid),
            note=self._progress.note,
            spans_to=partial(sender.send_spans, cluster) if sender is not None else None,
            sleep=self._sleep,
        )

    async def _wait_for_nodes(self, api: ClusterApi, cluster: Cluster) -> None:
        limit = self._study.limits.nodes_ready_seconds
        too_many = False
        async for _ in polls(NODES_PACE, limit, sleep=self._sleep):
            nodes = [node for node in await api.nodes() if node.takes(self._study.job.tolerations)]
            ready = sum(node.ready for node in nodes)
            if ready == len(nodes) == cluster.size:
                return
            self._progress.doing("waiting for nodes", f"{ready} of {cluster.size} nodes ready")
            if len(nodes) > cluster.size and not too_many:
                too_many = True
                self._progress.note(say_too_many(cluster, len(nodes), limit))
        raise LimitError(
            f"{cluster.name}: {ready} of {len(nodes)} nodes ready after {limit:.0f} s; wanted: {cluster.size}"
        )

    async def _see_to_namespace(self, api: ClusterApi) -> None:
        """A cluster that was made for the study has none but its own; another's is let be."""
        if not self._provider.lasting and api.namespace != "default":
            await api.create("/api/v1/namespaces", {"metadata": {"name": api.namespace}})

    async def _describe(self, api: ClusterApi, cluster: Cluster, state: ClusterRecord) -> None:
        nodes_json = await api.nodes_json()
        save_nodes(self._directory, cluster.name, nodes_json)
        rows = node_rows(cluster.name, nodes_json)
        self._ledger.put_nodes(rows)
        environment = await read_environment(api, rows, await self._provider.environment(cluster))
        state.put(environment=msgspec.json.encode(environment).decode())


def save_nodes(directory: Path, cluster: str, nodes_json: bytes) -> Path:
    """The nodes as served, the form of ``kubectl get nodes -o json``: where they were written. Raises OSError."""
    path = directory / "nodes" / f"nodes-{cluster}.json"
    write_file(path, nodes_json)
    return path


def say_too_many(cluster: Cluster, nodes: int, limit_seconds: float) -> str:
    """A job of fewer pods than nodes would measure no size, so it does not begin."""
    return (
        f"{cluster.name}: {nodes} nodes take pods where {cluster.size} are wanted: scale the cluster to {cluster.size},"
        f" or end this and give --sizes {nodes}; waiting for that up to {say_seconds(limit_seconds)}"
    )


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Do the work to its end also where we are cancelled meanwhile: half a deletion leaves what has to be paid for."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise
