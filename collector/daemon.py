"""The collector as a whole: its stages put together, run until a signal, and ended in order."""

import asyncio
import gc
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from collector.cluster_sources import cluster_sources, what_was_lost
from collector.context import Context
from collector.delivering.delivery import Delivery, DeliveryTarget
from collector.delivering.outputs import Outputs, open_output
from collector.monitoring.conditions import has_room, keeps_up
from collector.monitoring.metrics import spool_metrics
from collector.sources.event_watch import WatchedCluster
from collector.sources.scope import Scope
from collector.sources.source import FinishingSource, Source, SourceSpool
from collector.spooling.spool import Spool
from collector.spooling.spool_queue import SpoolQueue
from collector.stop_signal import StopSignal
from collector.tracing.journal import SpanJournal
from collector.tracing.span_source import SPANS, OtlpAddresses, SpanSource
from pullstudy.kube.access import Access
from pullstudy.kube.client import KubeClient, open_client
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
    otlp: OtlpAddresses = field(default_factory=OtlpAddresses)  # where spans are taken, if anywhere

    @property
    def look_with(self) -> str:
        """The command with which a user can see whether the cluster answers."""
        paths = self.access.kubeconfig
        if paths and os.pathsep in paths:  # kubectl takes several from its environment only
            return f"KUBECONFIG={paths} kubectl get --raw /version"
        return f"kubectl{f' --kubeconfig {paths}' if paths else ''} get --raw /version"

    @property
    def cluster(self) -> WatchedCluster:
        return WatchedCluster(self.origin.cluster, self.look_with, self.scope)

    @property
    def spool_directory(self) -> Path:
        return self.data_directory / "spool" / self.origin.cluster

    @property
    def span_directory(self) -> Path:
        return self.data_directory / "spans" / self.origin.cluster


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
                sources = cluster_sources(config.cluster, config.origin, client, pods, spool, context, lost)
                if config.otlp:
                    sources.append(span_source(config, spool, context))
                await run_stages(config, sources, spool, output.target, context, stop)


def span_source(config: CollectorConfig, spool: Spool, context: Context) -> SpanSource:
    """Raises DataDirectoryError, MissingExtraError."""
    journal = SpanJournal(config.span_directory)
    return SpanSource(config.otlp, journal, config.origin, spool.position(SPANS), context)


async def run_stages(
    config: CollectorConfig,
    sources: Sequence[Source],
    spool: Spool,
    sink: DeliveryTarget,
    context: Context,
    stop: StopSignal,
) -> None:
    """The stages side by side, until the signal; then one after the other."""
    for line in spool.damage:
        context.log.warning(f"the spool was damaged: {line}; reading goes on from the version of the last whole record")
    spare_the_garbage_collector()
    queue = SpoolQueue(spool, context.log, context.clock)
    delivery = Delivery(queue, sink, context)
    show(config.origin.cluster, sources, queue, context)
    try:
        async with asyncio.TaskGroup() as group:
            reading = {each.name: group.create_task(each.run(SourceSpool(queue, each.name))) for each in sources}
            delivering = group.create_task(delivery.run())
            reporting = group.create_task(_report(context))
            context.vitals.stages |= {**reading, "delivery": delivering}
            await stop.stop.wait()
            context.vitals.stop()
            for task in reading.values():
                task.cancel()
            limit_seconds = context.settings.stop.drain_seconds(sink_follows=config.outputs.sink_beside)
            finishing = group.create_task(_finish(sources, list(reading.values()), queue))
            await _drain([finishing, delivering], spool, context, stop, limit_seconds)
            reporting.cancel()
    finally:
        await queue.close()
        if context.status.events or context.status.lines:  # not where it failed at the start
            context.log.info("status", **context.status.fields())


def show(cluster: str, sources: Sequence[Source], queue: SpoolQueue, context: Context) -> None:
    """The sources and the spool, in the metrics and in what makes the process ready."""
    vitals = context.vitals
    vitals.sources += [spool_metrics(cluster, context.status, queue), *(each.readings for each in sources)]
    if context.durations is not None:
        vitals.sources.append(context.durations.readings)
    vitals.ready_when += [
        *(each.why_not_ready for each in sources),
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


async def _finish(sources: Sequence[Source], reading: Sequence[asyncio.Task[None]], queue: SpoolQueue) -> None:
    """Nothing comes from the sources after this."""
    try:
        await asyncio.wait(reading)
        for each in sources:
            if isinstance(each, FinishingSource):
                await each.finish(SourceSpool(queue, each.name))
    finally:
        queue.finish()


async def _drain(
    draining: Sequence[asyncio.Task[None]], spool: Spool, context: Context, stop: StopSignal, limit_seconds: float
) -> None:
    giving_up = asyncio.ensure_future(stop.give_up.wait())
    drained = asyncio.ensure_future(asyncio.wait(draining))
    try:
        await asyncio.wait((drained, giving_up), timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        giving_up.cancel()
        drained.cancel()
    if not all(task.done() for task in draining):
        for task in draining:
            task.cancel()
        context.log.warning(
            "stopped before the store had everything: the rest is in the spool, and stored at the next start",
            entries=spool.last - spool.acknowledged,
        )


async def _report(context: Context) -> None:
    async for _ in ticks(context.settings.status_seconds, sleep=context.clock.sleep):
        context.log.info("status", **context.status.fields())
