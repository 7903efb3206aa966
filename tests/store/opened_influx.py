"""The Store on an InfluxDB, for as long as a block lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from tests.notices import KeptNotices


@asynccontextmanager
async def opened(settings: InfluxSettings) -> AsyncIterator[InfluxStore]:
    store = InfluxStore(settings, KeptNotices(), Random(1))
    try:
        yield store
    finally:
        await store.close()
