"""Pods watched, and each pull that no event reported recorded from their status.

A record says what status knows and nothing more (see ``pullstudy.pulls.witness``). Its identity is made of the pod and
the container, so that it is one record whoever makes it and however often, and gives way to an event that comes late.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from collector.context import Context
from collector.monitoring.metrics import pod_readings
from collector.monitoring.vitals import Reading
from collector.reconciling.pod_watch import PodWatch
from collector.reconciling.reconcile import Pending, Reconciler, Unreported
from collector.reconciling.since import encode_since
from collector.sources.reported import ReportedContainers
from collector.sources.scope import Scope
from collector.sources.source import SourceSpool
from pullstudy.kube.client import KubeClient, Query
from pullstudy.kube.errors import ApiError
from pullstudy.kube.list_pages import list_pages
from pullstudy.kube.list_watch import ListWatch
from pullstudy.kube.page import RawPage, read_page
from pullstudy.polling import ticks
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.bug import BUGS
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import UNREADABLE, decode_event_json
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.witness import pod_milestones, witnessed_pull

PODS = "pods"  # the source's name in the spool
SHORTEST_PERIOD_SECONDS = 0.5
SAVE_SECONDS = 60.0  # between two positions that no record brings: each is a synchronisation of the disk
WITH_NODE = (("fieldSelector", "spec.nodeName!="),)  # a pod without one has pulled nothing
PRESENCE_REASONS = ("Pulled",)
FAILURE_REASONS = ("Failed", "BackOff", "ErrImageNeverPull", "InspectFailed")


class PodReconciler:
    """Source: runs beside the event watch, on a client of its own."""

    name = PODS

    def __init__(
        self,
        client: KubeClient,
        scope: Scope,
        origin: Origin,
        reported: ReportedContainers,
        since: datetime | None,
        after: asyncio.Event,
        context: Context,
    ) -> None:
        """``reported`` is what the event watch fills, ``since`` what the last run left; ``after`` is set once events
        are watched: it begins then."""
        self._client = client
        self._events_path = scope.events_path
        self._origin = origin
        self._after = after
        self._spool: SourceSpool | None = None
        self._saved_at = since
        self._settings = context.settings.reconcile
        self._page_items = context.settings.watch.page_items
        self._clock = context.clock
        self._log = context.log
        self._bugs = context.bugs
        self._status = context.status
        self._reconciler = Reconciler(origin, reported, self._settings.grace_seconds, since)
        pods = ListWatch(client, scope.pods_path, WITH_NODE)
        self._watch = PodWatch(pods, self._reconciler, lambda: client.server_time, context)

    async def run(self, spool: SourceSpool) -> None:
        """Raises SpoolError."""
        self._spool = spool
        await self._after.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(self._look_for_ever())

    async def _look_for_ever(self) -> None:
        # Of a short grace somebody wants to see the end.
        period_seconds = min(self._settings.period_seconds, max(self._settings.grace_seconds, SHORTEST_PERIOD_SECONDS))
        async for _ in ticks(period_seconds, sleep=self._clock.sleep):
            try:
                await self._look()
            except ApiError:  # the event watch says it; what is due stays due
                self._status.pod_reconnects += 1

    async def _look(self) -> None:
        overdue = self._reconciler.due(self._clock.monotonic_seconds())
        if overdue:
            found = self._reconciler.resolve(overdue, await self._reported_by_server(overdue))
            if found:
                await self._record(found)
        self._status.accounted = self._reconciler.accounted
        self._status.awaited = self._reconciler.waiting
        await self._save()

    async def _reported_by_server(self, overdue: Iterable[Pending]) -> ReportedContainers:
        """What its events report now: this process may have been started after the event, or be behind."""
        failed = {pending.failed for pending in overdue}
        reported = ReportedContainers(self._settings.containers)
        for reason in (*PRESENCE_REASONS, *(FAILURE_REASONS if True in failed else ("Pulling",))):
            await self._read_events(reason, reported)
        return reported

    async def _read_events(self, reason: str, reported: ReportedContainers) -> None:
        what = f"list the events of reason {reason}"

        async def ask(query: Query) -> RawPage:
            return read_page(await self._client.get(what, self._events_path, query), what)

        async for page in list_pages(ask, [("fieldSelector", f"reason={reason}")], self._page_items):
            for item in page.items or ():
                self._read_event(item, reported)

    def _read_event(self, item: msgspec.Raw, reported: ReportedContainers) -> None:
        try:
            reported.add(decode_event(decode_event_json(item), self._origin))
        except UNREADABLE:  # the event watch keeps it as a reject; the others are read
            return
        except BUGS as error:
            self._bugs.found("an event", error)

    async def _record(self, found: list[Unreported]) -> None:
        pulls = [witnessed_pull(each.row, each.outcome, self._origin, each.namespace) for each in found]
        present = [each for each in found if each.outcome is not Outcome.FAILED]
        milestones = [one for each in present for one in pod_milestones([each.row], self._origin, each.namespace)]
        await self._append(Batch(pulls=tuple(pulls), milestones=tuple(milestones)))
        for pull in pulls:
            self._status.untold[pull.outcome] += 1
            self._status.outcomes[pull.outcome] += 1
        self._status.milestones += len(milestones)
        example = found[0]
        self._log.warning(
            "no event told of these pulls, which pod status proves: they are recorded from it, without a duration",
            pulls=len(found),
            example=f"{example.namespace}/{example.row.pod}/{example.row.container}",
            node=example.row.node,
        )

    def why_not_ready(self) -> str | None:
        """Never: without it, what is missing is found late, and all else is collected."""
        return None

    def readings(self) -> Iterable[Reading]:
        return pod_readings(self._origin.cluster, self._status)

    async def _append(self, batch: Batch) -> None:
        assert self._spool is not None
        since = self._since()
        await self._spool.append(batch, encode_since(since) if since is not None else None)
        self._saved_at = since or self._saved_at

    async def _save(self) -> None:
        since = self._since()
        if since is None:
            return
        if self._saved_at is None or (since - self._saved_at).total_seconds() >= SAVE_SECONDS:
            await self._append(Batch())

    def _since(self) -> datetime | None:
        """From when on the next start has to look; None before all pods are listed."""
        now = self._client.server_time
        if now is None or not self._reconciler.complete:
            return None
        # A pod that never gets its image must not make the next start ask for what expired long ago.
        oldest = now - timedelta(seconds=self._settings.look_back_seconds)
        return max(oldest, self._reconciler.unsettled_since(now))
