"""The events by which kubelets say how the pulls of a job ended, received as they come: each of them once.

No selector tells one job's events from another's, and a list of them holds those of all earlier jobs too. A watch that
is open from before the job's creation brings its own alone.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from driver.clusters.cluster_api import ClusterApi
from driver.errors import first_error
from pullstudy.kube.object_watch import Change
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import Event
from pullstudy.pulls.event import Metadata as EventMetadata
from pullstudy.pulls.record import PullRecord
from pullstudy.store.protocol import Identity

# The reasons under which a kubelet says how a pull ended. The API server selects by one reason a request.
REASONS = ("Pulled", "Failed")


class PullEvent(Event, frozen=True, gc=False, rename="camel"):
    """An event as an API server sends it: never without metadata."""

    metadata: EventMetadata = EventMetadata()


class PullEvents:
    """Of the job that runs now. Nothing is kept of the jobs before it."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._job = ""
        self._pulls: dict[Identity, PullRecord] = {}

    def begin(self, job: str) -> None:
        """Keep this job's from now on; it is not created yet."""
        self._job = job
        self._pulls = {}

    @property
    def pulls(self) -> list[PullRecord]:
        """What the events so far say, each pull once."""
        return list(self._pulls.values())

    def take(self, event: Event) -> None:
        # A pod's name begins with its job's: most of what is not of the job need not be decoded.
        if event.object is None or not event.object.name.startswith(f"{self._job}-"):
            return
        for pull in decode_event(event, self._origin).pulls:
            if pull.job == self._job:
                self._pulls[pull.identity] = pull


@asynccontextmanager
async def watch_pull_events(api: ClusterApi, origin: Origin) -> AsyncIterator[PullEvents]:
    """For as long as the block runs, which ends with the ApiError of a watch that has failed for good."""
    events = PullEvents(origin)

    def take(change: Change[PullEvent]) -> None:
        events.take(change.object)

    async def follow(reason: str) -> None:
        await api.watch(api.events_path, ("fieldSelector", f"reason={reason}"), PullEvent, take, deletions=False)

    with first_error():
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(follow(reason)) for reason in REASONS]
            yield events
            for watch in watches:
                watch.cancel()
