"""The provider: nodes labelled for a run before it, unlabelled after it, whoever does that."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from driver.clusters.answering import answering
from driver.clusters.cluster_api import CONFLICT, NOT_FOUND, PATIENCE_SECONDS, ClusterApi, open_cluster
from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.errors import ProviderError, UsageError
from driver.planning.study import CacheMode, Study
from driver.providers.kubeconfig.cleaner import Cleaner, daemon_sets
from driver.providers.kubeconfig.commands import fill, run_command
from driver.providers.kubeconfig.context import hold_context, keep_context, kept_context
from driver.providers.kubeconfig.nodes import RUN_LABEL, choose_nodes, free_nodes
from driver.providers.kubeconfig.permissions import provider_errors
from pullstudy.kube.access import current_context
from pullstudy.kube.errors import ApiError
from pullstudy.kube.objects import Node
from pullstudy.polling import Pace, Sleep, polls

SCALING_PACE = Pace(0.5, 10.0)
CLEARS_AT_ONCE = 8  # local commands


class ExistingHandle(msgspec.Struct, frozen=True, kw_only=True):
    """What a later process needs. The nodes are named before any of them is labelled."""

    kubeconfig: str  # paths, with the context that was current when the run began
    namespace: str
    mark: str
    nodes: tuple[str, ...] = ()
    cleaners: bool = True  # whether DaemonSets are made, which who clears by a command need not be allowed


class KubeconfigProvider:
    """Nodes of the cluster of one kubeconfig."""

    name = "kubeconfig"
    prefix = "kube-"
    overhead_seconds = 0.0
    billed = False
    lasting = True
    stall_seconds: float | None = None

    def __init__(
        self,
        kubeconfig: Path,
        *,
        sleep: Sleep = asyncio.sleep,
        draw: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._kubeconfig = kubeconfig
        self._sleep = sleep
        self._draw = draw
        self._studies: dict[str, Study] = {}
        self._context: str | None = None  # of all sizes: the one that was current at the first

    def check_place(self, study: Study) -> None:
        if not self._kubeconfig.is_file():
            raise UsageError(f"no kubeconfig at {self._kubeconfig}: give --kubeconfig FILE, or set KUBECONFIG")
        asyncio.run(self._check_cluster(study))

    async def _check_cluster(self, study: Study) -> None:
        with provider_errors():
            async with answering(self._kubeconfig, study.cluster.namespace, self._sleep) as api:
                if not study.kubeconfig.create_namespace and not await self._has_namespace(api):
                    raise _no_namespace(api.namespace)
                if not study.kubeconfig.scale_command:
                    # Those of a sweep that was killed bear its label until it goes on.
                    choose_nodes(map(_without_label, await api.nodes()), study, max(study.sizes))

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        study, plan = order.study, order.study.kubeconfig
        self._studies[order.name] = study
        kubeconfig = self._held(order)
        handle = ExistingHandle(
            kubeconfig=str(kubeconfig),
            namespace=study.cluster.namespace,
            mark=f"{order.name}-{self._draw()}"[-63:],
            cleaners=study.run.cache is CacheMode.COLD and not plan.clear_command,
        )
        save(msgspec.to_builtins(handle))
        if plan.scale_command:
            words = list(fill(plan.scale_command, size=order.size))
            await run_command(f"scaling to {order.size} nodes", words, plan.scale_seconds)
        async with self._api(handle) as api:
            await self._see_to_namespace(api, study)
            handle = await self._take(api, order, handle, save)
        keep_context(order.directory, str(self._context))
        return Cluster(
            name=order.name,
            size=order.size,
            kubeconfig=kubeconfig,
            handle=msgspec.to_builtins(handle),
            node_selector={RUN_LABEL: handle.mark},
        )

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> frozenset[str]:
        study = self._studies[cluster.name]
        handle = msgspec.convert(cluster.handle, ExistingHandle)
        limit = study.limits.cache_clear_seconds
        async with self._api(handle, cluster.node_selector, study.limits.api_seconds) as api:
            # A lost node needs no clearing, and may answer no command: its images are looked at when it is back.
            ready = [node.metadata.name for node in await api.nodes() if node.ready]
            if study.kubeconfig.clear_command:
                await self._clear_by_command(study, ready, images)
                return frozenset(ready)
            cleaner = Cleaner(
                api,
                cluster.node_selector,
                image=study.kubeconfig.cleaner_image,
                socket=study.kubeconfig.runtime_socket,
                limit_seconds=limit,
                pull_secrets=study.job.image_pull_secrets,
                resources=study.job.container.get("resources"),
                sleep=self._sleep,
            )
            return await cleaner.clear(images, len(ready)) if ready else frozenset()

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        return {"existing": True, "nodes": list(cluster.handle["nodes"])}

    async def lost(self, cluster: Cluster) -> NoReturn:
        # The cluster is not ours: whether it answers is for each request to find out.
        while True:
            await asyncio.Event().wait()

    async def down(self, name: str, handle: Handle) -> None:
        """Delete the run's jobs and cleaners, and take its label off. What is gone or labelled anew is let be."""
        if not handle:
            return
        kept = msgspec.convert(handle, ExistingHandle)
        if not kept.nodes:  # it ended before the first was labelled, and so before anything was made
            return
        try:
            async with self._api(kept, {RUN_LABEL: kept.mark}) as api:
                try:
                    await self._delete_made(api, kept)
                finally:
                    for node in await api.nodes():
                        await self._unlabel(api, _name(node))
        except ProviderError as error:
            mine = f"-l {RUN_LABEL}={kept.mark}"
            raise ProviderError(
                f"{error}; labels, jobs and cleaners may be left: kubectl label nodes {mine} {RUN_LABEL}-;"
                f" kubectl delete jobs,daemonsets -n {kept.namespace} {mine}"
            ) from error

    async def _delete_made(self, api: ClusterApi, kept: ExistingHandle) -> None:
        if await self._has_namespace(api):
            for path in (api.jobs_path, *([daemon_sets(api)] if kept.cleaners else [])):
                selector = f"labelSelector={RUN_LABEL}%3D{kept.mark}"
                await api.delete(f"{path}?{selector}&propagationPolicy=Background")

    async def close(self) -> None:
        pass

    def _held(self, order: ClusterOrder) -> Path:
        kubeconfig = self._kubeconfig.resolve()
        if not kubeconfig.is_file():
            raise ProviderError(f"no kubeconfig at {kubeconfig}: give --kubeconfig FILE, or set KUBECONFIG")
        with provider_errors():
            self._context = self._context or kept_context(order.directory) or current_context(kubeconfig)
        return hold_context(
            kubeconfig, self._context, (order.directory / "clusters" / f"{order.name}.context").resolve()
        )

    @asynccontextmanager
    async def _api(
        self,
        handle: ExistingHandle,
        node_selector: dict[str, str] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> AsyncIterator[ClusterApi]:
        with provider_errors():
            async with open_cluster(
                Path(handle.kubeconfig),
                handle.namespace,
                node_selector=node_selector,
                patience_seconds=patience_seconds,
                sleep=self._sleep,
            ) as api:
                yield api

    async def _see_to_namespace(self, api: ClusterApi, study: Study) -> None:
        if await self._has_namespace(api):
            return
        if not study.kubeconfig.create_namespace:
            raise _no_namespace(api.namespace)
        await api.create("/api/v1/namespaces", {"metadata": {"name": api.namespace}})

    async def _has_namespace(self, api: ClusterApi) -> bool:
        return await api.exists(f"/api/v1/namespaces/{api.namespace}")

    async def _take(
        self, api: ClusterApi, order: ClusterOrder, handle: ExistingHandle, save: SaveHandle
    ) -> ExistingHandle:
        """Label the nodes. Where another run takes one of them at the same moment, ours are chosen anew."""
        while True:
            nodes = await self._choose(api, order.study, order.size)
            handle = msgspec.structs.replace(handle, nodes=tuple(map(_name, nodes)))
            save(msgspec.to_builtins(handle))
            for count, node in enumerate(nodes):
                if not await self._label(api, node, handle.mark):
                    for name in handle.nodes[:count]:
                        await self._unlabel(api, name)
                    break
            else:
                return handle

    async def _label(self, api: ClusterApi, node: Node, mark: str) -> bool:
        """Whether it is ours: the change is made to the node as it was seen, without a label, or not at all."""
        name = _name(node)
        while RUN_LABEL not in node.metadata.labels:
            seen = {"resourceVersion": node.metadata.resource_version, "labels": {RUN_LABEL: mark}}
            try:
                await api.change(_node(name), {"metadata": seen})
            except ApiError as error:
                if error.status != CONFLICT:
                    raise
                # Its kubelet reported, another run took it, or ours was answered and the answer lost.
                known = {_name(node): node for node in await api.nodes()}
                if name not in known:
                    return False
                node = known[name]
            else:
                return True
        return node.metadata.labels[RUN_LABEL] == mark

    async def _choose(self, api: ClusterApi, study: Study, size: int) -> list[Node]:
        """After a scale command the nodes may take a while to come."""
        limit = study.limits.nodes_ready_seconds if study.kubeconfig.scale_command else 0.0
        async for _ in polls(SCALING_PACE, limit, sleep=self._sleep):
            nodes = await api.nodes()
            if len(free_nodes(nodes, study)) >= size:
                break
        chosen = choose_nodes(nodes, study, size)
        return sorted((node for node in nodes if _name(node) in chosen), key=_name)

    async def _clear_by_command(self, study: Study, nodes: Sequence[str], images: tuple[str, ...]) -> None:
        few = asyncio.Semaphore(CLEARS_AT_ONCE)

        async def clear(node: str) -> None:
            async with few:
                words = list(fill(study.kubeconfig.clear_command, images=images, node=node))
                await run_command(f"clearing the cache of node {node}", words, study.limits.cache_clear_seconds)

        try:
            async with asyncio.TaskGroup() as group:
                for node in nodes:
                    group.create_task(clear(node))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _unlabel(self, api: ClusterApi, node: str) -> None:
        try:
            await api.change(_node(node), {"metadata": {"labels": {RUN_LABEL: None}}})
        except ApiError as error:
            if error.status != NOT_FOUND:  # scaled away
                raise


def _no_namespace(name: str) -> ProviderError:
    return ProviderError(f"namespace {name} is not there; make it, or set kubeconfig.create_namespace in study.toml")


def _without_label(node: Node) -> Node:
    labels = {key: value for key, value in node.metadata.labels.items() if key != RUN_LABEL}
    return msgspec.structs.replace(node, metadata=msgspec.structs.replace(node.metadata, labels=labels))


def _name(node: Node) -> str:
    return node.metadata.name


def _node(name: str) -> str:
    return f"/api/v1/nodes/{name}"
