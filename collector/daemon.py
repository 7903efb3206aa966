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
from collector.reconciling.second_witness import SecondWitness
from collector.reconciling.told import Told
from collector.sources.api import EventApi, KubernetesEvents, KubernetesPods, PodApi
from collector.sources.checkpoint import EVENTS, Checkpoint
from collector.sources.intake import Intake
from collector.sources.kubeconfig import Access
from collector.sources.scope import Scope
from collector.sources.seen import Seen
from collector.sources.watch import EventWatch, WatchTarget
from collector.sources.watch_protocol import NO_VERSION, WatchProtocol
from collector.spooling.spool import Spool
from collector.spooling.spool_queue import SpoolQueue
from collector.stop_signal import StopSignal
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.schema import FILE_NAME


@dataclass(frozen=True)
class Target:
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


async def collect(target: Target, context: Context, stop: StopSignal) -> None:
    """Collect until the signal. Raises CollectorError, StoreError and BusError, alone or in an ExceptionGroup."""
    client = await target.access.make_client()
    settings = context.settings
    async with AsyncExitStack() as open_apis:
        api = await open_apis.enter_async_context(KubernetesEvents(client, target.access, settings.watch, target.scope))
        pods: PodApi | None = None
        if target.reconcile:  # a client of its own: each renews its login by making another
            client = await target.access.make_client()
            pods = await open_apis.enter_async_context(
                KubernetesPods(client, target.access, settings.watch, target.scope)
            )
        with Spool(target.spool_directory, settings.spool) as spool:
            # Only of the embedded store can be seen from here that it is gone.
            lost = what_was_lost(spool, target.data_directory / FILE_NAME if target.outputs.embedded else None)
            async with open_output(target.outputs, target.data_directory, target.spool_directory, context) as output:
                output.show(target.origin.cluster, context)
                await run_stages(target, api, spool, output.sink, context, stop, lost, pods=pods)


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
    target: Target,
    api: EventApi,
    spool: Spool,
    sink: Sink,
    context: Context,
    stop: StopSignal,
    lost: str | None = None,
    *,
    pods: PodApi | None = None,
) -> None:
    """The stages side by side, until the signal; then one after the other. Without ``pods`` nothing is reconciled."""
    lost = lost or another_scope(spool, target.scope)
    for line in spool.damage:
        context.log.warning(f"the spool was damaged: {line}; reading goes on from the version of the last whole record")
    if lost is not None:
        context.log.warning(f"{lost}: all events that the cluster still has are listed anew")
    spare_the_garbage_collector()
    queue = SpoolQueue(spool, context.log, context.clock)
    told = Told(context.settings.reconcile.containers) if pods is not None else None
    watch = make_watch(target, api, spool, queue, context, lost, told)
    delivery = Delivery(queue, sink, context)
    show(target.origin.cluster, queue, context)
    try:
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(watch.run())]
            if pods is not None and told is not None:
                witness = SecondWitness(pods, target.origin, told, queue, target.spool_directory, context)
                watching.append(group.create_task(witness.run(after=watch.opened)))
            delivering = group.create_task(delivery.run())
            reporting = group.create_task(_report(context))
            context.vitals.stages |= {"watch": watching[0], "delivery": delivering}
            await stop.stop.wait()
            context.vitals.stop()
            for task in watching:
                task.cancel()
            queue.finish()
            limit_seconds = context.settings.stop.drain_seconds(sink_follows=target.outputs.sink_beside)
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
    target: Target,
    api: EventApi,
    spool: Spool,
    queue: SpoolQueue,
    context: Context,
    lost: str | None,
    told: Told | None,
) -> EventWatch:
    """The watch, going on from the spool's checkpoint unless that is lost."""
    checkpoint = _checkpoint(spool)
    protocol = WatchProtocol(
        NO_VERSION if lost else checkpoint.version,
        "" if another_scope(spool, target.scope) else checkpoint.cluster_uid,  # told by another namespace
        page_items=context.settings.watch.page_items,
        quick_ends_before_list=context.settings.watch.quick_ends_before_list,
        lost=lost,
        streaming=context.settings.watch.streaming_list,
    )
    intake = Intake(target.origin, Seen(context.settings.seen_events), context.status, told, now=context.clock.now)
    watched = WatchTarget(target.origin.cluster, target.look_with, target.scope)
    return EventWatch(watched, api, protocol, intake, queue, context)


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
    while True:
        await context.clock.sleep(context.settings.status_seconds)
        context.log.info("status", **context.status.fields())
