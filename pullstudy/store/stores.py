"""The table of stores on servers, by the name that their settings have. The study's own file is none of them.

The client is imported where a store is opened: a collector without one starts a quarter of a second sooner.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Protocol

from pullstudy.pulls.notices import Notices
from pullstudy.store.protocol import Records, RecordsByJob, SharedStore
from pullstudy.store.selection import Selection
from pullstudy.timing import Timing

INFLUXDB = "influxdb"
ARCHIVE = "archive"


class StoreSettings(Protocol):
    """How a store is reached, as a value that can be compared. What else there is to say is the store's own."""

    @property
    def store(self) -> str:
        """Its name in STORES."""
        ...

    @property
    def url(self) -> str: ...

    @property
    def organisation(self) -> str: ...

    @property
    def bucket(self) -> str: ...

    @property
    def place(self) -> str:
        """Which store it is, in words: no secrets."""
        ...


@dataclass(frozen=True)
class StoreType:
    """What there is to call of one kind of store; the settings are those that ``settings`` gives."""

    title: str  # as people call it
    settings: Callable[[Mapping[str, str], str | None, str | None, str | None], StoreSettings]
    open: Callable[[Any, Notices, Random, Timing], SharedStore]
    reader: Callable[[Any], Records]
    why_not_usable: Callable[[Any, datetime], Awaitable[str | None]]
    by_job: Callable[[Any, Selection], AbstractContextManager[RecordsByJob]] | None = None  # where it can be read so


def store_settings(
    environment: Mapping[str, str],
    *,
    url: str | None = None,
    bucket: str | None = None,
    organisation: str | None = None,
    store: str = INFLUXDB,
) -> StoreSettings:
    """As its client's own variables say; what is given goes before them. Raises StoreSettingsError."""
    return STORES[store].settings(environment, url, bucket, organisation)


def title_of(settings: StoreSettings) -> str:
    return STORES[settings.store].title


def open_store(settings: StoreSettings, notices: Notices, random: Random, timing: Timing | None = None) -> SharedStore:
    """Connects at the first write or read."""
    return STORES[settings.store].open(settings, notices, random, timing or Timing())


def open_reader(settings: StoreSettings) -> Records:
    """For reading alone: plain blocking calls."""
    return STORES[settings.store].reader(settings)


def opened_by_job(settings: StoreSettings, selection: Selection) -> AbstractContextManager[RecordsByJob] | None:
    """The clusters of the selection as they are now, for as long as the block lasts; None where it has to be copied."""
    by_job = STORES[settings.store].by_job
    return by_job(settings, selection) if by_job is not None else None


async def why_not_usable(settings: StoreSettings, now: datetime) -> str | None:
    """One line that says why it cannot be read and written; None where it can. Raises StoreSettingsError."""
    return await STORES[settings.store].why_not_usable(settings, now)


def _influx_settings(
    environment: Mapping[str, str], url: str | None, bucket: str | None, organisation: str | None
) -> StoreSettings:
    from pullstudy.store.influx.settings import InfluxSettings

    settings = InfluxSettings.from_environment(environment, url=url, bucket=bucket, organisation=organisation)
    settings.tls()  # a certificate that cannot be used is found now
    return settings


def _influx_store(settings: Any, notices: Notices, random: Random, timing: Timing) -> SharedStore:
    from pullstudy.store.influx.store import InfluxStore

    return InfluxStore(settings, notices, random, timing)


def _influx_reader(settings: Any) -> Records:
    from pullstudy.store.influx.read import InfluxReader

    return InfluxReader(settings)


def _why_influx_is_not_usable(settings: Any, now: datetime) -> Awaitable[str | None]:
    from pullstudy.store.influx.check import why_not_usable as why

    return why(settings, now)


def _archive_settings(
    environment: Mapping[str, str], url: str | None, bucket: str | None, organisation: str | None
) -> StoreSettings:
    from pullstudy.store.archive.settings import ArchiveSettings

    return ArchiveSettings.of(url)


def _archive_store(settings: Any, notices: Notices, random: Random, timing: Timing) -> SharedStore:
    from pullstudy.store.archive.store import ArchiveStore

    return ArchiveStore(settings, notices, random, timing)


def _archive_reader(settings: Any) -> Records:
    from pullstudy.store.archive.read import ArchiveReader

    return ArchiveReader(settings)


def _archive_by_job(settings: Any, selection: Selection) -> AbstractContextManager[RecordsByJob]:
    from pullstudy.store.archive.read import opened_archive

    return opened_archive(settings, selection)


def _why_archive_is_not_usable(settings: Any, now: datetime) -> Awaitable[str | None]:
    from pullstudy.store.archive.check import why_not_usable as why

    return why(settings)


STORES: dict[str, StoreType] = {
    INFLUXDB: StoreType("InfluxDB", _influx_settings, _influx_store, _influx_reader, _why_influx_is_not_usable),
    ARCHIVE: StoreType(
        "archive", _archive_settings, _archive_store, _archive_reader, _why_archive_is_not_usable, _archive_by_job
    ),
}
