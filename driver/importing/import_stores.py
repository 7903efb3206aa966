"""Where imported records go: the study's own file, or an InfluxDB. Plain calls, as an import makes them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

from driver.errors import UsageError
from driver.importing.import_logs import ImportStore
from driver.recording.destinations import AskedDestination, check_reachable, destination_of_new_run
from driver.recording.stores import PlainNotices
from pullstudy.pulls.batch import Batch, Reject
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.selection import Selection
from pullstudy.store.stores import StoreSettings, open_store


def destination_of_import(directory: Path, run: str, url: str | None, environment: Mapping[str, str]) -> Destination:
    """What the run began with, if it did; else what is asked for. Raises UsageError where these differ, StoreError."""
    from pullstudy.analysis.reading.source import destination_of, runs_of

    known = runs_of(directory) if (directory / FILE_NAME).is_file() else []
    begun = next((destination_of(each) for each in known if each.run == run), None)
    if url is None:
        return begun or Destination()
    asked = destination_of_new_run(AskedDestination(influx=url), Destination(), environment)
    if begun is not None and begun != asked:
        raise UsageError(f"run {run!r} is in {begun}, not in {asked}; import under another --run, or without --influx")
    return asked


@contextmanager
def import_store(
    destination: Destination,
    directory: Path,
    cluster: str,
    environment: Mapping[str, str],
    note: Callable[[str], None],
) -> Iterator[ImportStore]:
    """Open for as long as the block lasts. Raises UsageError where an InfluxDB cannot be used, StoreError."""
    if not destination.shared:
        store = EmbeddedStore(directory, create=True)
        try:
            yield store
        finally:
            store.close_now()
        return
    asyncio.run(check_reachable(destination, environment))
    influx = InfluxImportStore(destination.store_settings(environment), cluster, note)
    try:
        yield influx
    finally:
        influx.close_now()


class InfluxImportStore:
    """Waits for an InfluxDB that goes away, and says so. Ctrl-C ends that; importing again changes nothing."""

    def __init__(self, settings: StoreSettings, cluster: str, note: Callable[[str], None]) -> None:
        self._of_cluster = Selection(clusters=(cluster,))
        self._store = open_store(settings, PlainNotices(note), Random())
        self._loop = asyncio.Runner()

    def write_now(self, batch: Batch) -> None:
        """It does not say what is new. Raises RefusedError."""
        self._loop.run(self._store.write(batch))

    def rejects(self) -> Iterator[Reject]:
        """Those of the cluster, and of no other that the bucket may have."""
        return self._store.rejects(self._of_cluster)

    def close_now(self) -> None:
        self._loop.run(self._store.close())
        self._loop.close()
