"""The second witness at work: pods are watched, and each pull that no event told of is recorded from their status.

A record says what status knows and nothing more (see ``pullstudy.pulls.witness``). Its identity is made of the pod and
the container, so that it is one record whoever makes it and however often, and gives way to an event that comes late.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from collector.context import Context
from collector.reconciling.reconcile import Reconciler, Suspect, Untold
from collector.reconciling.since import FILE_NAME, read_since, save_since
from collector.reconciling.told import Told
from collector.sources.api import CutError, PodApi, RefusedError
from collector.sources.pod_watch import PodWatch
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import UNREADABLE, decode_event_list
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.witness import pod_milestones, witnessed_pull

SHORTEST_PERIOD_SECONDS = 0.5
PRESENCE_REASONS = ("Pulled",)
FAILURE_REASONS = ("Failed", "BackOff", "ErrImageNeverPull", "InspectFailed")


class SecondWitness:
    """Runs beside the event watch, on a client of its own."""

    def __init__(
        self, api: PodApi, origin: Origin, told: Told, queue: SpoolQueue, directory: Path, context: Context
    ) -> None:
        """``told`` is what the event watch fills; ``directory`` holds what is saved for the next start."""
        self._api = api
        self._origin = origin
        self._queue = queue
        self._directory = directory
        self._settings = context.settings.reconcile
        self._page_items = context.settings.watch.page_items
        self._clock = context.clock
        self._log = context.log
        self._status = context.status
        self._told_unsaved = False
        self._reconciler = Reconciler(origin, told, self._settings.grace_seconds, read_since(directory))
        self._watch = PodWatch(api, self._reconciler, context)

    async def run(self, after: asyncio.Event) -> None:
        """Begins once the events are watched, and never returns. Raises SpoolError."""
        await after.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(self._look_for_ever())

    async def _look_for_ever(self) -> None:
        # Of a short grace somebody wants to see the end.
        period_seconds = min(self._settings.period_seconds, max(self._settings.grace_seconds, SHORTEST_PERIOD_SECONDS))
        while True:
            await self._clock.sleep(period_seconds)
            try:
                await self._look()
            except (RefusedError, CutError):  # the event watch says it; what is due stays due
                self._status.pod_reconnects += 1

    async def _look(self) -> None:
        suspects = self._reconciler.due(self._clock.monotonic_seconds())
        if suspects:
            found = self._reconciler.resolve(suspects, await self._told_by_server(suspects))
            if found:
                await self._record(found)
        self._status.accounted = self._reconciler.accounted
        self._status.awaited = self._reconciler.waiting
        self._save()

    async def _told_by_server(self, suspects: Iterable[Suspect]) -> Told:
        """What its events tell now: this process may have been started after the event, or be behind."""
        failed = {suspect.failed for suspect in suspects}
        told = Told(self._settings.containers)
        for reason in (*PRESENCE_REASONS, *(FAILURE_REASONS if True in failed else ("Pulling",))):
            await self._read_events(reason, told)
        return told

    async def _read_events(self, reason: str, told: Told) -> None:
        token: str | None = None
        while True:
            body = await self._api.events_page(reason, limit=self._page_items, continue_token=token)
            try:
                page = decode_event_list(body)
            except UNREADABLE as error:
                raise CutError(f"the list of events cannot be read: {error}") from error
            for event in page.items or ():
                told.add(decode_event(event, self._origin))
            token = page.continue_token
            if token is None:
                return

    async def _record(self, found: list[Untold]) -> None:
        pulls = [witnessed_pull(each.row, each.outcome, self._origin, each.namespace) for each in found]
        present = [each for each in found if each.outcome is not Outcome.FAILED]
        milestones = [one for each in present for one in pod_milestones([each.row], self._origin, each.namespace)]
        await self._queue.append("pods", None, Batch(pulls=tuple(pulls), milestones=tuple(milestones)))
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

    def _save(self) -> None:
        now = self._api.server_time
        if now is None or not self._reconciler.complete:
            return
        # A pod that never gets its image must not make the next start ask for what expired long ago.
        oldest = now - timedelta(seconds=self._settings.look_back_seconds)
        try:
            save_since(self._directory, max(oldest, self._reconciler.unsettled_since(now)))
        except OSError as error:  # the next start looks at pods from an earlier moment on, which costs it a question
            if not self._told_unsaved:
                self._log.warning(f"{self._directory / FILE_NAME} cannot be written: {error.strerror or error}")
            self._told_unsaved = True
