"""The collector as a whole: its stages put together, run until a signal, and ended in order."""

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from collector.context import Context
from collector.delivering.delivery import Delivery, Sink
from collector.delivering.outputs import Outputs, open_output
from collector.monitoring.conditions import has_room, keeps_up, watches
from collector.monitoring.metrics import watch_source
from collector.reconciling.pod_reconciler import PodReconciler
from collector.reconciling.reported import ReportedContainers
from collector.sources.checkpoint import EVENTS, Checkpoint
from collector.sources.event_watch import EventWatch, WatchedCluster
from collector.sources.intake import Intake
from collector.sources.recent_events import RecentEvents
from collector.sources.scope import Scope
from collector.spooling.spool import Spool
from collector.spooling.spool_queue import SpoolQueue
from collector.stop_signal import StopSignal
from pullstudy.kube.access import Access
from pullstudy.kube.client import KubeClient, open_client
from pullstudy.kube.watch_protocol import NO_VERSION, WatchProtocol
from pullstudy.polling import ticks
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.schema import FILE_NAME


@dataclass(frozen=True)
class CollectorConfig:
    """What to collect, and where it goes."""

    origin: Origin
    access: Access
    data_directory: Path
    outputs: Outputs = field(default_factory=Outputs)
    scope: Scope = field(default_factory=Scope)
    reconcile: bool = True  # pods are watched too

    @property
    def look_with(self) -> str:
        """The command with which a user can see whether the cluster answers."""
        paths = self.access.kubeconfig
        if paths and os.pathsep in paths:  # kubectl takes several from its environment only
            return f"KUBECONFIG={paths} kubectl get --raw /version"
        return f"kubectl{f' --kubeconfig {paths}' if paths else ''} get --raw /version"

    @property
    def spool_directory(self) -> Path:
        return self.data_directory / "spool" / self.origin.cluster


async def collect(config: CollectorConfig, context: Context, stop: StopSignal) -> None:
    """Collect until the signal. Raises CollectorError, KubeError, StoreError, BusError, alone or in a group."""
    settings = context.settings
    async with AsyncExitStack() as open_clients:
        client = await open_clients.enter_async_context(open_client(config.access, settings.watch))
        pods: KubeClient | None = None
        if config.reconcile:  # a client of its own: each renews its login by making another
            pods = await open_clients.enter_async_context(open_client(config.access, settings.watch))
        with Spool(config.spool_directory, settings.spool) as spool:
            # Only of the embedded store can be seen from here that it is gone.
            lost = what_was_lost(spool, config.data_directory / FILE_NAME if config.outputs.embedded else None)
            async with open_output(config.outputs, config.data_directory, config.spool_directory, context) as output:
                output.show(config.origin.cluster, context)
                await run_stages(config, client, spool, output.sink, context, stop, lost, pods=pods)


def what_was_lost(spool: Spool, store: Path | None) -> str | None:
    """Why what was read before cannot be relied upon any more; None where it can."""
    if store is not None and spool.acknowledged and not store.exists():
        return f"the spool's records were stored in a {store.name} that is gone"
    if spool.damage and not _checkpoint(spool).version:
        return spool.damage[0]
    return None


def another_scope(spool: Spool, scope: Scope) -> str | None:
    """A version that was read of one namespace says nothing of the others."""
    checkpoint = _checkpoint(spool)
    before = Scope(checkpoint.namespace or None)
    if before == scope or not checkpoint.version:
        return None
    return f"{before} was watched before, and now it is {scope}"


def _checkpoint(spool: Spool) -> Checkpoint:
    return Checkpoint.decode(spool.position(EVENTS))


async def run_stages(
    config: CollectorConfig,
    client: KubeClient,
    spool: Spool,
    sink: Sink,
    context: Context,
    stop: StopSignal,
    lost: str | None = None,
    *,
    pods: KubeClient | None = None,
) -> None:
    """The stages side by side, until the signal; then one after the other. Without ``pods`` nothing is reconciled."""
    lost = lost or another_scope(spool, config.scope)
    for line in spool.damage:
        context.log.warning(f"the spool was damaged: {line}; reading goes on from the version of the last whole record")
    if lost is not None:
        context.log.warning(f"{lost}: all events that the cluster still has are listed anew")
    spare_the_garbage_collector()
    queue = SpoolQueue(spool, context.log, context.clock)
    reported = ReportedContainers(context.settings.reconcile.containers) if pods is not None else None
    watch = make_watch(config, client, spool, queue, context, lost, reported)
    delivery = Delivery(queue, sink, context)
    show(config.origin.cluster, queue, context)
    try:
        async with asyncio.TaskGroup() as group:
            watching: list[asyncio.Task[None]] = [group.create_task(watch.run())]
            if pods is not None and reported is not None:
                reconciler = PodReconciler(
                    pods, config.scope, config.origin, reported, queue, config.spool_directory, context
                )
                watching.append(group.create_task(reconciler.run(after=watch.is_open)))
            delivering = group.create_task(delivery.run())
            reporting = group.create_task(_report(context))
            context.vitals.stages |= {"watch": watching[0], "delivery": delivering}
            await stop.stop.wait()
            context.vitals.stop()
            for task in watching:
                task.cancel()
            queue.finish()
            limit_seconds = context.settings.stop.drain_seconds(sink_follows=config.outputs.sink_beside)
            await _drain(delivering, spool, context, stop, limit_seconds)
            reporting.cancel()
    finally:
        await queue.close()
        if context.status.events or context.status.lines:  # not where it failed at the start
            context.log.info("status", **context.status.fields())


def show(cluster: str, queue: SpoolQueue, context: Context) -> None:
    """What leads to the spool, in the metrics and in what makes the process ready."""
    vitals, status = context.vitals, context.status
    vitals.sources.append(watch_source(cluster, status, queue))
    vitals.ready_when += [
        watches(status, context.clock),
        keeps_up(
            "the oldest batch in the spool", lambda: queue.waiting.oldest_seconds, context.settings.max_lag_seconds
        ),
        has_room(queue),
    ]


def spare_the_garbage_collector() -> None:
    """Records hold no references to each other, so that nothing here waits for the collector of cycles to be freed.

    What is loaded by now (the client's two thousand classes) would be looked through again and again: a third of the
    time of a busy watch.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def make_watch(
    config: CollectorConfig,
    client: KubeClient,
    spool: Spool,
    queue: SpoolQueue,
    context: Context,
    lost: str | None,
    reported: ReportedContainers | None,
) -> EventWatch:
    """The watch, going on from the spool's checkpoint unless that is lost."""
    checkpoint = _checkpoint(spool)
    protocol = WatchProtocol(
        NO_VERSION if lost else checkpoint.version,
        "" if another_scope(spool, config.scope) else checkpoint.cluster_uid,  # of another namespace
        page_items=context.settings.watch.page_items,
        quick_ends_before_list=context.settings.watch.quick_ends_before_list,
        lost=lost,
        streaming=context.settings.watch.streaming_list,
    )
    intake = Intake(
        config.origin, RecentEvents(context.settings.seen_events), context.status, reported, now=context.clock.now
    )
    watched = WatchedCluster(config.origin.cluster, config.look_with, config.scope)
    return EventWatch(watched, client, protocol, intake, queue, context)


async def _drain(
    delivering: asyncio.Task[None], spool: Spool, context: Context, stop: StopSignal, limit_seconds: float
) -> None:
    giving_up = asyncio.ensure_future(stop.give_up.wait())
    try:
        await asyncio.wait((delivering, giving_up), timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        giving_up.cancel()
    if not delivering.done():
        delivering.cancel()
        context.log.warning(
            "stopped before the store had everything: the rest is in the spool, and stored at the next start",
            entries=spool.last - spool.acknowledged,
        )


async def _report(context: Context) -> None:
    async for _ in ticks(context.settings.status_seconds, sleep=context.clock.sleep):
        context.log.info("status", **context.status.fields())
