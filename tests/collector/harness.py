"""The collector's stages in the test's own process, with virtual time, against the small API server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from collector.cluster_sources import cluster_sources, what_was_lost
from collector.context import Context
from collector.daemon import CollectorConfig, run_stages
from collector.delivering.delivery import DeliveryTarget
from collector.delivering.targets import EmbeddedTarget
from collector.log import Format, Log
from collector.settings import DeliverySettings, Settings
from collector.sources.scope import Scope
from collector.sources.source import Source
from collector.spooling.spool import Spool
from collector.stop_signal import StopSignal
from pullstudy.kube.access import Access
from pullstudy.kube.client import open_client
from pullstudy.kube.settings import WatchSettings
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.api_server import ApiServer, write_kubeconfig
from tests.collector.kube_events import event
from tests.collector.polling import until

# Without jitter the waits are exact, and without pauses time stands still while all goes well; a status line would wake
# the virtual clock for ever.
EXACT = Backoff(first_seconds=0.8, jitter=0.0)
SETTINGS = replace(
    Settings(),
    watch=WatchSettings(pause_seconds=0.0, backoff=EXACT),
    delivery=DeliverySettings(pause_seconds=0.0),
)
FOREVER_SECONDS = 1e6


class VirtualClock:
    """Time that passes only when somebody sleeps, and then at once."""

    def __init__(self, stepped: float | None = None) -> None:
        """Waits of ``stepped`` seconds end only by step()."""
        self.seconds = 0.0
        self.sleeps: list[float] = []
        self._stepped = stepped
        self._steps = asyncio.Semaphore(0)
        self._stops = 0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic_seconds(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    async def step(self) -> None:
        """One such wait ends; return when the next one begins."""
        await until(lambda: self._stops > 0)
        stops = self._stops
        self._steps.release()
        await until(lambda: self._stops > stops)

    async def sleep(self, seconds: float) -> None:
        if seconds == self._stepped:
            self._stops += 1
            await self._steps.acquire()
            return
        if seconds >= FOREVER_SECONDS:
            await asyncio.Event().wait()
        self.sleeps.append(round(seconds, 3))
        self.seconds += seconds
        await asyncio.sleep(0)


class Collecting:
    """A running collector, and what it left."""

    def __init__(self, settings: Settings) -> None:
        self.clock = VirtualClock(settings.reconcile.period_seconds)
        self.lines: list[str] = []
        self.stop = StopSignal()
        settings = replace(settings, status_seconds=FOREVER_SECONDS)
        self.context = Context(settings, self.clock, Random(1), Log(self.clock, Format.TEXT, self.lines.append))
        self.status = self.context.status

    @property
    def backoffs(self) -> list[float]:
        """The waits that were longer than those after a watch that worked."""
        return [seconds for seconds in self.clock.sleeps if seconds > 0.05]

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)

    async def until_stored(self, records: int) -> None:
        await self.until(lambda: self.status.stored + self.status.stored_before >= records)

    def told(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]


@asynccontextmanager
async def collecting(
    url: str,
    directory: Path,
    settings: Settings = SETTINGS,
    wrap_sink: Callable[[DeliveryTarget], DeliveryTarget] = lambda sink: sink,
    *,
    scope: Scope | None = None,
    reconcile: bool = False,
    more_sources: Sequence[Source] = (),
) -> AsyncIterator[Collecting]:
    """A collector on the directory, stopped and drained at the end."""
    running = Collecting(settings)
    access = Access(str(write_kubeconfig(directory / "kubeconfig", url)))
    scope = scope or Scope()
    config = CollectorConfig(Origin(cluster="sim-t"), access, directory, scope=scope)
    async with open_client(access, settings.watch) as client, open_client(access, settings.watch) as second:
        with Spool(config.spool_directory, settings.spool) as spool:
            lost = what_was_lost(spool, directory / FILE_NAME)
            pods = second if reconcile else None
            store = EmbeddedStore(directory, create=True)
            try:
                async with asyncio.TaskGroup() as group:
                    sink, context = wrap_sink(EmbeddedTarget(store)), running.context
                    sources = cluster_sources(config.cluster, config.origin, client, pods, spool, context, lost)
                    sources += more_sources
                    group.create_task(run_stages(config, sources, spool, sink, context, running.stop))
                    try:
                        yield running
                    finally:
                        running.stop.stop.set()
            finally:
                await store.close()


async def put_pulls(server: ApiServer, first: int, count: int) -> dict[str, list[int]]:
    """Pulls happen; what the store has to hold of them."""
    made = [event(number) for number in range(first, first + count)]
    for item in made:
        await server.put(item)
    return {item["metadata"]["uid"]: [1] for item in made}


def stored_counts(directory: Path) -> dict[str, list[int]]:
    """The counts in the store, by event uid, as the records were kept."""
    found: dict[str, list[int]] = {}
    store = EmbeddedStore(directory, create=False)
    for record in store.pulls():
        found.setdefault(record.event_uid, []).append(record.count)
    store.close_now()
    return {uid: sorted(counts) for uid, counts in found.items()}


def stored_gaps(directory: Path) -> list[Gap]:
    store = EmbeddedStore(directory, create=False)
    gaps = list(store.gaps())
    store.close_now()
    return gaps


def stored_rejects(directory: Path) -> list[Reject]:
    store = EmbeddedStore(directory, create=False)
    rejects = list(store.rejects())
    store.close_now()
    return rejects
