"""The two sources of one Kubernetes cluster, its events and its pods, each going on from where the spool has it."""

from pathlib import Path

from collector.context import Context
from collector.reconciling.pod_reconciler import PODS, PodReconciler
from collector.reconciling.since import decode_since, read_since_file
from collector.sources.checkpoint import EVENTS, Checkpoint
from collector.sources.event_watch import EventWatch, WatchedCluster
from collector.sources.intake import Intake
from collector.sources.recent_events import RecentEvents
from collector.sources.reported import ReportedContainers
from collector.sources.scope import Scope
from collector.sources.source import Source
from collector.spooling.spool import Spool
from pullstudy.kube.client import KubeClient
from pullstudy.kube.watch_protocol import NO_VERSION, WatchProtocol
from pullstudy.pulls.decode import Origin


def cluster_sources(
    cluster: WatchedCluster,
    origin: Origin,
    events: KubeClient,
    pods: KubeClient | None,
    spool: Spool,
    context: Context,
    lost: str | None = None,
) -> list[Source]:
    """``lost`` says why the events have to be listed anew. Without ``pods``, a client of its own, none are watched."""
    lost = lost or another_scope(spool, cluster.scope)
    if lost is not None:
        context.log.warning(f"{lost}: all events that the cluster still has are listed anew")
    if pods is None:
        return [_event_watch(cluster, origin, events, spool, context, lost, None)]
    reported = ReportedContainers(context.settings.reconcile.containers)
    watch = _event_watch(cluster, origin, events, spool, context, lost, reported)
    since = decode_since(spool.position(PODS)) or read_since_file(spool.directory)
    return [watch, PodReconciler(pods, cluster.scope, origin, reported, since, watch.is_open, context)]


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


def _event_watch(
    cluster: WatchedCluster,
    origin: Origin,
    client: KubeClient,
    spool: Spool,
    context: Context,
    lost: str | None,
    reported: ReportedContainers | None,
) -> EventWatch:
    checkpoint, settings = _checkpoint(spool), context.settings
    protocol = WatchProtocol(
        NO_VERSION if lost else checkpoint.version,
        "" if another_scope(spool, cluster.scope) else checkpoint.cluster_uid,  # of another namespace
        page_items=settings.watch.page_items,
        quick_ends_before_list=settings.watch.quick_ends_before_list,
        lost=lost,
        streaming=settings.watch.streaming_list,
    )
    recent = RecentEvents(settings.seen_events)
    now, durations = context.clock.now, context.durations
    intake = Intake(origin, recent, context.status, reported, now=now, durations=durations, bugs=context.bugs)
    return EventWatch(cluster, client, protocol, intake, context)
